import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveTasks

/// A task exists if its caller's transaction commits; when it may start.
@Suite(.timeLimit(.minutes(3))) struct EnqueueTests {
    private struct Undone: Error {}

    @Test(arguments: Engine.underTest)
    func whatIsRolledBackIsNotThere(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let task = try NewTask(type: .custom, kind: "work", name: "task", accountId: .someone)
            let engine = site.engine
            await #expect(throws: Undone.self) {
                try await site.database.write { sql in
                    try engine.enqueue(task, in: sql)
                    throw Undone()
                }
            }
            #expect(try await site.service.tasks(TaskListQuery(), in: .everybody).total == 0)
            #expect(try await site.eventTypes() == [])
            #expect(try await site.claim(1).isEmpty)
        }
    }

    @Test(arguments: Engine.underTest)
    func aUniqueKeyHoldsWhileItsTaskIsOpen(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let keyed: @Sendable (inout NewTask) -> Void = { $0.uniqueKey = "k" }
            let first = try await site.enqueue(with: keyed)
            #expect(try await site.enqueue(with: keyed) == first)
            let others = try await site.enqueue(.other, with: keyed)
            #expect(others != first)
            #expect(try await site.eventTypes() == ["task.created"])
            let claimed = try await site.claim(2)
            #expect(try await site.enqueue(with: keyed) == first)
            try await site.end(claimed)
            #expect(try await site.enqueue(with: keyed) != first)
        }
    }

    @Test(arguments: Engine.underTest)
    func manyAtOnceWithOneKeyMakeOneTask(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let ids = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<8 { group.addTask { try await site.enqueue { $0.uniqueKey = "k" } } }
                return try await group.reduce(into: Set<String>()) { $0.insert($1) }
            }
            #expect(ids.count == 1)
            #expect(try await site.service.tasks(TaskListQuery(), in: .everybody).total == 1)
        }
    }

    @Test(arguments: Engine.underTest)
    func aDelayedTaskStartsWhenItsTimeHasCome(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let handler = HeldHandler()
            site.engine.register([handler])
            let runAt = site.clock.now + .seconds(3600)
            let id = try await site.enqueue { $0.runAt = runAt }
            #expect(try await site.claim(1).isEmpty)
            site.clock.advance(by: .seconds(3599))
            #expect(try await site.claim(1).isEmpty)
            #expect(try await site.nextDue() == runAt)
            try await site.withWorker { _ in
                site.clock.advance(by: .seconds(1))
                try await site.wake()
                let attempt = try await handler.attempts.next()
                #expect(attempt.task.taskId == id)
                attempt.complete()
                try await site.untilStatus(.completed, id)
            }
        }
    }

    /// By itself: nobody wakes the worker when a short wait is over.
    @Test(arguments: Engine.underTest)
    func aWorkerWakesForAShortWaitByItself(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            site.engine.register([HeldHandler()])
            try await site.withWorker { _ in
                let id = try await site.enqueue(kind: "quick") { $0.runAt = site.clock.now + .milliseconds(100) }
                // The clock reaches it while the worker's real wait runs.
                site.clock.advance(by: .milliseconds(100))
                try await site.untilStatus(.completed, id)
            }
        }
    }

    /// More than one look puts into the lanes.
    @Test(arguments: Engine.underTest)
    func manyThatFallDueTogetherAllRun(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let (engine, runAt) = (site.engine, site.clock.now + .seconds(60))
            try await site.database.write { sql in
                for _ in 0..<700 {
                    try engine.enqueue(
                        try NewTask(type: .custom, kind: "work", name: "task", accountId: .someone, runAt: runAt), in: sql)
                }
            }
            site.clock.advance(by: .seconds(61))
            var claimed = 0
            for _ in 0..<20 {
                let tasks = try await site.claim(64)
                try await site.end(tasks)
                claimed += tasks.count
            }
            #expect(claimed == 700)
        }
    }
}
