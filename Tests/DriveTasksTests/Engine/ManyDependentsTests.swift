import DriveDatabase
import DriveModel
import EngineTestSupport
import Testing

@testable import DriveTasks

/// An end for which more tasks wait than one transaction settles.
@Suite(.timeLimit(.minutes(3))) struct ManyDependentsTests {
    private static let count = TaskEngine.settledAtOnce * 2 + 200

    /// Tasks that all wait for `first`.
    private func waiting(for first: String, _ site: TaskSite) async throws -> [String] {
        let task = try NewTask(type: .custom, kind: "work", name: "waits", accountId: .someone, dependsOn: [first])
        let (engine, tasks) = (site.engine, Array(repeating: task, count: Self.count))
        return try await site.database.write { sql in try engine.enqueue(tasks, in: sql).map(\.taskId) }
    }

    private func count(_ status: TaskStatus, _ site: TaskSite, waiting: Bool) async throws -> Int {
        Int(
            try await site.database.number(
                "SELECT COUNT(*) AS value FROM tasks WHERE status = $1 AND name = 'waits' AND waits_for \(waiting ? ">" : "=") 0",
                [.text(status.rawValue)]))
    }

    @Test(arguments: Engine.underTest)
    func theRestStartsInFurtherTransactions(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let first = try await site.enqueue()
            _ = try await waiting(for: first, site)
            try await site.end(try await site.claim(1))
            #expect(try await count(.pending, site, waiting: false) == TaskEngine.settledAtOnce)
            #expect(try await count(.pending, site, waiting: true) == Self.count - TaskEngine.settledAtOnce)
            _ = try await site.engine.settleRest()
            #expect(try await count(.pending, site, waiting: false) == Self.count)
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM task_settlements") == 0)
            #expect(try await site.engine.settleRest() == 0)
        }
    }

    @Test(arguments: Engine.underTest)
    func theRestIsCancelledInFurtherTransactions(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let first = try await site.enqueue()
            _ = try await waiting(for: first, site)
            try await site.fail(try await site.claim(1), retryable: false)
            let soFar = try await count(.cancelled, site, waiting: true)
            #expect(soFar == TaskEngine.settledAtOnce)
            _ = try await site.engine.settleRest()
            let reasons = try await site.database.number(
                "SELECT COUNT(*) AS value FROM tasks WHERE name = 'waits' AND status = 'Cancelled' AND error_code = 'DEPENDENCY_FAILED'")
            #expect(reasons == Self.count)
        }
    }

    /// A running server needs nobody to call it.
    @Test(arguments: Engine.underTest)
    func aWorkerGoesOnWithThem(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let first = try await site.enqueue()
            _ = try await waiting(for: first, site)
            _ = try await site.service.cancelTask(first, in: .someone, by: .someone)
            try await site.withWorker(queues: ["none"]) { _ in
                try await eventually { try await count(.cancelled, site, waiting: true) == Self.count }
            }
        }
    }

    /// Who waits still, waits for the new run.
    @Test(arguments: Engine.underTest)
    func aRetriedOneKeepsThoseThatWaitStill(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let first = try await site.enqueue()
            _ = try await waiting(for: first, site)
            try await site.fail(try await site.claim(1), retryable: false)
            _ = try await site.service.retryTask(first, in: .someone, by: .someone)
            #expect(try await site.engine.settleRest() == 0)
            try await site.end(try await site.claim(1))
            _ = try await site.engine.settleRest()
            #expect(try await count(.pending, site, waiting: false) == Self.count - TaskEngine.settledAtOnce)
        }
    }
}
