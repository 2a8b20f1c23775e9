import DriveModel
import Synchronization

/// What a client knows when the server dies: what was acknowledged, and what was asked without an answer.
final class CrashLedger: Sendable {
    struct Upload: Sendable {
        var open: OpenUpload
        var acknowledged: Set<Int> = []
        var completed: CloudFile?
        var cancelAsked = false
        var cancelled = false
    }

    struct Stored: Sendable {
        var file: CloudFile
        var bytes: [UInt8]
        var deleteAsked = false
        var deleted = false
    }

    struct State: Sendable {
        var uploads: [String: Upload] = [:]
        var files: [String: Stored] = [:]
        /// By their names.
        var streams: [String: CrashStream] = [:]
        var joins: [String: CrashJoin] = [:]
        var tasks = CrashTasksLedger()
        /// Replies that no fault explains.
        var surprises: [String] = []
    }

    /// Ends a client that met what no fault explains; the ledger has it.
    struct Unexpected: Error {}

    private let state = Mutex(State())

    var all: State { state.withLock { $0 } }

    func change(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }

    func note(_ taskId: String, _ body: (inout Upload) -> Void) {
        state.withLock { state in
            if var upload = state.uploads[taskId] {
                body(&upload)
                state.uploads[taskId] = upload
            }
        }
    }

    func note(stream name: String, _ body: (inout CrashStream) -> Void) {
        state.withLock { state in
            if var stream = state.streams[name] {
                body(&stream)
                state.streams[name] = stream
            }
        }
    }

    func surprise(_ what: String) { state.withLock { $0.surprises.append(what) } }

    func expect(_ reply: Reply, _ what: String, _ statuses: Int...) throws {
        guard statuses.contains(reply.status) else { throw unexpected("\(what): \(reply) \(reply.headers)") }
    }

    func unexpected(_ what: String) -> Unexpected {
        surprise(what)
        return Unexpected()
    }

    /// A response told where an upload's kept bytes end. Throws where the client cannot have sent so many, or was told more.
    func settle(_ name: String, at offset: Int?, _ what: String) throws -> Int {
        guard let stream = all.streams[name], let offset, stream.allows(offset) else {
            throw unexpected("\(what): offset \(offset.map(String.init) ?? "none"), \(all.streams[name]?.promise ?? "no such upload")")
        }
        note(stream: name) { $0.settle(at: offset) }
        return offset
    }
}
