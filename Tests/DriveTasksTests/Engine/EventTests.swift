import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveTasks

/// What a task's owner is told, in which order, and how often.
@Suite(.timeLimit(.minutes(3))) struct EventTests {
    @Test(arguments: Engine.underTest)
    func comeInOrderNumberedPerAccount(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            site.engine.register([
                QuickHandler(kind: "steps") { task in
                    for step in 1...4 { try await task.save(["step": .integer(Int64(step))], progress: Double(step) * 20, message: "on") }
                    return ["done": true]
                }
            ])
            try await site.withWorker { _ in
                let mine = try await site.enqueue(kind: "steps")
                let others = try await site.enqueue(.other, kind: "steps")
                try await site.untilStatus(.completed, mine)
                try await site.untilStatus(.completed, others)
                for (account, id) in [(UUID.someone, mine), (.other, others)] {
                    let events = try await site.events(of: account)
                    #expect(
                        events.map(\.type) == ["task.created"] + Array(repeating: "task.progress", count: 4) + ["task.completed"])
                    #expect(events.allSatisfy { $0.data["taskId"] == .string(id) && $0.data["kind"] == "steps" })
                    #expect(events[1].data["statusMessage"] == "on")
                    #expect(events.last?.data["results"]?["done"] == true)
                }
            }
        }
    }

    /// Small steps go out together, and the last word is the end's.
    @Test(arguments: Engine.underTest)
    func progressIsThrottled(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            site.engine.register([
                QuickHandler(kind: "fine") { task in
                    for step in 1...100 { try await task.save(["step": .integer(Int64(step))], progress: Double(step)) }
                    return [:]
                }
            ])
            try await site.withWorker { _ in
                let id = try await site.enqueue(kind: "fine")
                try await site.untilStatus(.completed, id)
                let events = try await site.events()
                #expect(events.count { $0.type == "task.progress" } == 20)
                #expect(events.last?.type == "task.completed")
            }
        }
    }

    /// It moved by less than 5 points, and then nothing more: a second later its owner is told all the same.
    @Test(arguments: Engine.underTest)
    func aSmallStepIsToldAfterASecond(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let handler = HeldHandler()
            site.engine.register([handler])
            try await site.withWorker { _ in
                let id = try await site.enqueue()
                let attempt = try await handler.attempts.next()
                attempt.task.report(3)
                try await eventually { try await site.task(id).progress == 3 }
                site.clock.advance(by: .seconds(2))
                try await eventually(within: .seconds(3)) { try await site.eventTypes().contains("task.progress") }
                attempt.complete()
                try await site.untilStatus(.completed, id)
            }
        }
    }

    /// Reports that could not be written for a moment are written when the database answers again,
    /// though nothing was reported since, and are told then. (With its one slot taken, the worker writes nothing else.)
    @Test(arguments: Engine.underTest)
    func aReportIsWrittenWhenTheDatabaseIsBack(kind: Engine) async throws {
        try await TaskSite.with(kind, { $0.slots = 1 }) { site in
            let handler = HeldHandler()
            site.engine.register([handler])
            try await site.withWorker { _ in
                let id = try await site.enqueue()
                let attempt = try await handler.attempts.next()
                site.database.refuse(1)
                attempt.task.report(50, message: "half")
                try await eventually { site.database.refusalsLeft == 0 }
                try await eventually { try await site.task(id).progress == 50 }
                #expect(try await site.eventTypes().contains("task.progress"))
                attempt.complete()
                try await site.untilStatus(.completed, id)
            }
        }
    }

    @Test(arguments: Engine.underTest)
    func theSystemAccountHasNone(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            site.engine.register([
                QuickHandler(kind: "house") { task in
                    try await task.save(["a": 1], progress: 50)
                    if task.attempt == 1 { throw DriveError(.storageFull, "Full.") }
                    return [:]
                }
            ])
            try await site.withWorker { _ in
                let system = TaskEngine.systemAccount
                let id = try await site.enqueue(system, kind: "house")
                try await eventually { try await site.task(id).errorCode != nil }
                site.clock.advance(by: .seconds(5))
                try await site.wake()
                try await site.untilStatus(.completed, id)
                let cancelled = try await site.enqueue(system)
                _ = try await site.service.cancelTask(cancelled, in: .everybody, by: .someone)
                #expect(try await site.events(of: system).isEmpty)
            }
        }
    }
}
