import DriveDatabase
import DriveModel
import DriveUploads
import EngineTestSupport
import Foundation
import Testing

@testable import DriveTasks

/// Each damage to the task engine's rows is planted, found, and mended where the checker says so.
@Suite struct TaskInvariantsTests {
    /// One task that runs, one that waits for it, one that waits for a worker; the first two are a batch.
    private struct Planted: Sendable {
        let drive: Instance
        let engine: TaskEngine
        let database: any Database
        let account = UUID()
        let batch = "batch-0000000000000001"
        var running = ""
        var dependent = ""
        var waiting = ""

        init(_ site: Site) async throws {
            drive = try await site.start()
            database = site.database
            engine = TaskEngine(database: site.database, surroundings: site.clock.surroundings, logger: Engine.logger)
            let (engine, account, batch, now) = (engine, account, batch, site.clock.now)
            (running, dependent, waiting) = try await site.database.write { sql in
                try TaskBatches.insert(batch, name: "batch", total: 2, account: account, now: now, in: sql)
                let first = try engine.enqueue(
                    NewTask(type: .bulkOperation, name: "running", accountId: account, batchId: batch), in: sql
                ).taskId
                try engine.enlist("worker", name: "worker", isLease: false, in: sql)
                _ = try engine.claim(1, queue: TaskQueues.drive, worker: "worker", in: sql)
                let second = try engine.enqueue(
                    NewTask(type: .fileMove, name: "dependent", accountId: account, dependsOn: [first], batchId: batch), in: sql
                ).taskId
                let third = try engine.enqueue(NewTask(type: .fileMove, name: "waiting", accountId: account), in: sql).taskId
                return (first, second, third)
            }
        }

        /// A statement with the tasks' ids in their places.
        func change(_ sql: String) async throws {
            let filled = sql.replacing("{running}", with: "'\(running)'").replacing("{dependent}", with: "'\(dependent)'")
                .replacing("{waiting}", with: "'\(waiting)'")
            try await database.change(filled)
        }

        /// Takes the next task, as a worker does; empty where there is none.
        func claim() async throws -> [String] {
            let engine = engine
            return try await database.write { sql in
                try engine.claim(1, queue: TaskQueues.drive, worker: "worker", in: sql).map(\.taskId)
            }
        }
    }

    private static func with(_ engine: Engine, _ body: (Planted) async throws -> Void) async throws {
        try await Site.with(engine) { site in
            let planted = try await Planted(site)
            #expect(try await planted.drive.findings() == [])
            try await body(planted)
        }
    }

    struct Damage: Sendable, CustomTestStringConvertible {
        var name: String
        var change: String
        var kind: String
        var isMended = true
        var testDescription: String { name }
    }

    private static let damages = [
        Damage(name: "no lease", change: "UPDATE tasks SET lease_owner = NULL WHERE task_id = {running}", kind: "task.lease"),
        Damage(name: "an unknown worker", change: "DELETE FROM task_workers", kind: "task.lease"),
        Damage(name: "a running count too high", change: "UPDATE task_running SET running = running + 1", kind: "task.running"),
        Damage(name: "a running count that is gone", change: "DELETE FROM task_running", kind: "task.running"),
        Damage(
            name: "a running count below nothing", change: "INSERT INTO task_running (lane_id, running) VALUES (4711, -1)",
            kind: "task.running"),
        Damage(
            name: "a lane not marked",
            change: "UPDATE task_lanes SET is_waiting = 1 = 0 WHERE lane_id = (SELECT lane_id FROM tasks WHERE task_id = {waiting})",
            kind: "task.lane"),
        Damage(name: "an account not marked", change: "UPDATE task_accounts SET is_waiting = 1 = 0", kind: "task.account"),
        Damage(name: "an account without a row", change: "DELETE FROM task_accounts", kind: "task.account"),
        Damage(
            name: "a lane that is gone", change: "UPDATE tasks SET lane_id = 4711 WHERE task_id = {waiting}", kind: "task.stranded"),
        Damage(name: "nothing to wait for", change: "UPDATE tasks SET rank = NULL WHERE task_id = {waiting}", kind: "task.stranded"),
        Damage(
            name: "dependencies of nobody",
            change: "INSERT INTO task_dependencies (task_id, depends_on) VALUES ('gone', {running}), ('gone', {waiting})",
            kind: "task.dependency"),
        Damage(
            name: "a dependency that is gone",
            change: "UPDATE task_dependencies SET depends_on = 'gone' WHERE task_id = {dependent}", kind: "task.dependency",
            isMended: false),
        Damage(name: "too much to wait for", change: "UPDATE tasks SET waits_for = 2 WHERE task_id = {dependent}", kind: "task.waitsFor"),
        Damage(name: "dependencies lost", change: "DELETE FROM task_dependencies", kind: "task.waitsFor"),
        Damage(name: "a batch's count", change: "UPDATE task_batches SET cancelled = 1", kind: "task.batch"),
        Damage(name: "a batch's end", change: "UPDATE task_batches SET completed_at = created_at", kind: "task.batch"),
    ]

    @Test(arguments: Engine.underTest, damages)
    func findsAndMends(engine: Engine, damage: Damage) async throws {
        try await Self.with(engine) { planted in
            try await planted.change(damage.change)
            let found = try await planted.drive.checker.run(repair: false)
            #expect(found.map(\.kind) == [damage.kind], "\(found)")
            #expect(found.allSatisfy { !$0.repaired })
            let repaired = try await planted.drive.checker.run(repair: true)
            #expect(repaired.map(\.kind) == [damage.kind] && repaired.map(\.repaired) == [damage.isMended], "\(repaired)")
            let after = try await planted.drive.checker.run(repair: false)
            #expect(after.map(\.kind) == (damage.isMended ? [] : [damage.kind]), "\(after)")
            // What waited is found by a worker again, whatever it was.
            let claimed = Set([try await planted.claim(), try await planted.claim()].joined())
            #expect(claimed.contains(planted.waiting))
        }
    }

    /// The rows of the tasks that a killed worker held stand until somebody takes them back.
    @Test(arguments: Engine.underTest)
    func leasesOfADeadWorkerAreNoFinding(engine: Engine) async throws {
        try await Self.with(engine) { planted in
            let claimed = try await planted.claim()
            #expect(claimed == [planted.waiting])
            #expect(try await planted.drive.findings() == [])
            #expect(try await planted.engine.takeBackOrphans() == 2)
            #expect(try await planted.drive.findings() == [])
        }
    }

    /// A lease whose worker nobody knows is nobody's to watch; once repaired, the engine takes it back as any other's.
    @Test(arguments: Engine.underTest)
    func aRepairedLeaseIsTakenBack(engine: Engine) async throws {
        try await Self.with(engine) { planted in
            try await planted.change("DELETE FROM task_workers")
            _ = try await planted.drive.checker.run(repair: true)
            let (heartbeats, taskId) = (try await planted.engine.heartbeats(), planted.running)
            #expect(Array(heartbeats.keys) == ["worker"])
            #expect(try await planted.engine.rescue("worker", heartbeat: heartbeats["worker"]) == 1)
            #expect(
                try await planted.database.number(
                    "SELECT COUNT(*) AS value FROM tasks WHERE task_id = $1 AND status = 'Pending'", [.text(taskId)]) == 1)
            #expect(try await planted.drive.findings() == [])
        }
    }

    /// What waited for a task that is gone with all its rows is due at once, and its worker gets it.
    @Test(arguments: Engine.underTest)
    func whoWaitsForNothingRuns(engine: Engine) async throws {
        try await Self.with(engine) { planted in
            try await planted.change("DELETE FROM task_dependencies")
            _ = try await planted.drive.checker.run(repair: true)
            let claimed = Set([try await planted.claim(), try await planted.claim()].joined())
            #expect(claimed == [planted.dependent, planted.waiting])
            #expect(try await planted.drive.findings() == [])
        }
    }

    /// Ended tasks are removed in the course of time: a batch is judged while all of its tasks are there.
    @Test(arguments: Engine.underTest)
    func batchesWithRemovedTasksAreNoFinding(engine: Engine) async throws {
        try await Self.with(engine) { planted in
            try await planted.change("UPDATE task_batches SET completed = 1, total = 3")
            #expect(try await planted.drive.findings() == [])
        }
    }
}
