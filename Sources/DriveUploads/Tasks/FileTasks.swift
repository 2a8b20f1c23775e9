import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import DriveTasks
import Logging

/// The task types that move and change files.
public enum FileTasks {
    /// Their handlers, over what the uploads work with.
    public static func handlers(uploads: UploadService) -> [any TaskHandler] {
        let tools = FileTaskTools(uploads: uploads)
        return [FileMoveTask(tools), StorageMigrationTask(tools), BulkOperationTask(tools)]
    }
}

/// What the handlers of tasks on files work with.
struct FileTaskTools: Sendable {
    let database: any Database
    let pools: PoolDirectory
    let io: IOPool
    let settings: UploadSettings
    let surroundings: Surroundings
    let logger: Logger
    /// Bytes copied at once; between two steps a task can be interrupted.
    var copyStep: Int64 = 64 << 20
    /// Bytes after which a copy is flushed and its place is kept, so that a killed attempt goes on there.
    var keepEvery: Int64 = 256 << 20

    init(uploads: UploadService) {
        database = uploads.database
        pools = uploads.pools
        io = uploads.io
        settings = uploads.settings
        surroundings = uploads.surroundings
        logger = uploads.logger
    }

    /// Refuses whom the pool's policy keeps out. A running task does not know its caller's role any more, so this is decided
    /// when the task is made; the rules on type and size are applied to each file.
    func expectAdmission(of caller: Caller, to pool: Pool) throws(DriveError) {
        let role = PoolPolicy(requireRole: pool.policy.requireRole)
        if let refusal = role.refusal(contentType: "", size: 0, role: caller.role.rawValue, poolName: pool.name) { throw refusal }
    }

    /// Runs a storage operation and gives its failure in the callers' vocabulary.
    func storing<Result: Sendable>(_ work: () async throws -> Result) async throws -> Result {
        do {
            return try await work()
        } catch let error as StorageError {
            logger.error("storage failed in a task", metadata: ["error": "\(error)"])
            throw error.asDriveError
        }
    }
}

extension TaskContext {
    /// In whose name a task changes files; its id finds it in the audit trail.
    var caller: Caller { Caller(accountId: accountId, role: .user, address: nil, requestId: taskId) }

    /// What the last attempt kept; nil where there is nothing to go on with.
    func kept<State: Decodable>(_ type: State.Type = State.self) throws -> State? {
        guard let checkpoint, checkpoint != .null else { return nil }
        return try DriveJSON.value(type, from: DriveJSON.text(checkpoint))
    }
}

extension JSONValue {
    /// A value as a checkpoint keeps it.
    static func encoding(_ value: some Encodable) throws -> JSONValue {
        try DriveJSON.value(JSONValue.self, from: DriveJSON.text(value))
    }
}

/// Why one of a task's items fails, while the others go on.
struct ItemFailure: Error {
    var error: DriveError
    /// The blob whose bytes turned out to be damaged.
    var damaged: BlobRow?

    init(_ error: DriveError, damaged: BlobRow? = nil) {
        self.error = error
        self.damaged = damaged
    }

    func item(_ id: String) -> TaskItem { TaskItem(itemId: id, outcome: .failed, code: error.code.name, message: error.message) }
}

/// What was looked up has changed since: it is looked at again.
struct StaleLook: Error {}
