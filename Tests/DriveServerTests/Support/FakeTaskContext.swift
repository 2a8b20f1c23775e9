import DriveDatabase
import DriveModel
import DriveTasks
import EngineTestSupport
import Foundation

/// What a handler sees of an attempt that keeps no checkpoint.
struct FakeTaskContext: TaskContext {
    var taskId = "t"
    var accountId = TaskEngine.systemAccount
    var parameters: [String: JSONValue]
    var attempt = 1
    var fencingToken: Int64 = 1
    var checkpoint: JSONValue?
    var progress = 0.0
    let logger = Engine.logger
    var interruption: TaskInterruption?

    func checkInterruption() throws(TaskInterruption) {
        if let interruption { throw interruption }
    }

    func report(_ progress: Double, message: String?) {}

    func commit<Result: Sendable>(
        checkpoint: JSONValue?, progress: Double?, message: String?, _ change: @escaping @Sendable (any SQLSession) throws -> Result
    ) async throws -> Result {
        throw TaskInterruption.fenced
    }
}
