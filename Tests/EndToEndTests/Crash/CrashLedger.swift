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
        /// Replies that no fault explains.
        var surprises: [String] = []
    }

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

    func surprise(_ what: String) { state.withLock { $0.surprises.append(what) } }
}
