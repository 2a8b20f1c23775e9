import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import Synchronization

/// What the load did and was answered.
final class LoadLedger: Sendable {
    struct Counts: Sendable {
        /// Tasks whose transaction was committed and answered.
        var accepted: [String] = []
        var refused = 0
        /// Attempts that began, and those that came to their end.
        var runs = 0
        var ended = 0
        var isOver = false
    }

    private let state = Mutex(Counts())

    /// For the end: while the load runs, a copy would cost the next `accepted` a copy of all ids.
    var counts: Counts { state.withLock { $0 } }
    var isOver: Bool { state.withLock { $0.isOver } }
    var ended: Int { state.withLock { $0.ended } }
    /// About so many wait or run: those that exist without an answer are not counted.
    var open: Int { state.withLock { $0.accepted.count - $0.ended } }

    func accepted(_ taskId: String) { state.withLock { $0.accepted.append(taskId) } }
    func refused() { state.withLock { $0.refused += 1 } }
    func runBegins() { state.withLock { $0.runs += 1 } }
    func runEnds() { state.withLock { $0.ended += 1 } }
    func stop() { state.withLock { $0.isOver = true } }
}

/// Inserts one row per task into a table without any key, as handlers do it: in the transaction that checks the fencing token
/// and keeps the checkpoint. An attempt may run again; a second row would be a side effect twice.
struct EffectHandler: TaskHandler {
    static let table = "CREATE TABLE bench_effects (task_id TEXT NOT NULL)"

    let ledger: LoadLedger

    var type: TaskType { .custom }
    var kind: String? { "bench" }

    func plan(_ parameters: [String: JSONValue], by caller: Caller) async throws -> TaskPlan { TaskPlan(name: "bench", parameters: [:]) }

    func run(_ task: any TaskContext) async throws -> [String: JSONValue] {
        ledger.runBegins()
        if task.checkpoint == nil {
            let taskId = task.taskId
            _ = try await task.commit(checkpoint: ["inserted": true], progress: nil, message: nil) { sql in
                try sql.execute("INSERT INTO bench_effects (task_id) VALUES ($1)", [.text(taskId)])
            }
        }
        ledger.runEnds()
        return [:]
    }
}
