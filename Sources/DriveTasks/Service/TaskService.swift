import DriveDatabase
import DriveEvents
import DriveModel
import Foundation
import Logging

/// Whose tasks a call may touch.
public enum TaskScope: Hashable, Sendable {
    case account(UUID)
    /// An administrator's view.
    case everybody
}

/// The tasks of a type that its client drives: they stand in the list, but never in the queue.
public protocol ClientDrivenTasks: Sendable {
    func pauseTask(_ taskId: String, by caller: Caller) async throws
    func resumeTask(_ taskId: String, by caller: Caller) async throws
    func cancelTask(_ taskId: String, by caller: Caller) async throws
}

/// Tasks as their owners handle them: the spec's `PersistentTaskService`. Every call goes through the owner, or says that an
/// administrator asks. Its parts stand in extensions: making, changing, lists, batches, timetables, leases.
public final class TaskService: Sendable {
    public let engine: TaskEngine
    /// The face of `FileUpload`.
    let uploads: (any ClientDrivenTasks)?
    let openTasks = OpenTaskCount()
    let bell = WorkBell()

    public init(engine: TaskEngine, uploads: (any ClientDrivenTasks)? = nil) {
        self.engine = engine
        self.uploads = uploads
    }

    var database: any Database { engine.database }

    /// Hears of no work any more; waiting workers still look by themselves until they have waited enough.
    public func stop() {
        bell.stop()
    }
}
