import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveTasks

/// Tasks whose worker is gone.
@Suite(.timeLimit(.minutes(3))) struct RescueTests {
    /// A worker that takes tasks and shows no sign of life any more.
    private func lose(_ site: TaskSite, _ worker: String = "ghost", isLease: Bool = false, tasks: Int = 1) async throws {
        let engine = site.engine
        try await site.database.write { sql in
            try engine.enlist(worker, name: worker, isLease: isLease, in: sql)
            _ = try engine.claim(tasks, queue: TaskQueues.drive, worker: worker, in: sql)
        }
    }

    @Test(arguments: Engine.underTest)
    func moreStuckRowsThanOneBatchAreAllRescued(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let engine = site.engine
            try await site.database.write { sql in
                for number in 0..<450 {
                    let account = UUID.account(number % 7)
                    try engine.enqueue(
                        try NewTask(type: .custom, kind: "work", name: "task", accountId: account, priority: number % 3), in: sql)
                }
            }
            try await lose(site, tasks: 450)
            #expect(try await site.claim(1).isEmpty)
            #expect(try await engine.rescue("ghost", heartbeat: nil) == 450)
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM task_workers") == 0)
            #expect(try await site.findings() == [])
            var again: [ClaimedTask] = []
            for _ in 0..<10 { again += try await site.claim(64) }
            #expect(again.count == 450)
            #expect(again.allSatisfy { $0.attempt == 2 })
        }
    }

    /// By another worker, with nobody's help.
    @Test(arguments: Engine.underTest)
    func aLostWorkersTaskRunsAgainElsewhere(kind: Engine) async throws {
        try await TaskSite.with(kind, { $0.leasePatience = .seconds(4) }) { site in
            let id = try await site.enqueue(kind: "quick")
            try await lose(site)
            try await site.withWorker { _ in
                try await site.untilStatus(.completed, id, within: .seconds(20))
                let attempts = try await site.service.attempts(id, in: .someone)
                #expect(attempts.map(\.outcome) == [.lost])
                #expect(attempts.map(\.errorCode) == ["WORKER_LOST"])
                try await eventually { try await site.database.number("SELECT COUNT(*) AS value FROM task_workers") == 1 }
            }
        }
    }

    /// The shortest patience that the settings allow is kept too.
    @Test(arguments: Engine.underTest)
    func aShortPatienceIsKept(kind: Engine) async throws {
        try await TaskSite.with(
            kind,
            { settings in
                settings.heartbeat = .milliseconds(300)
                settings.leasePatience = .seconds(1)
            }
        ) { site in
            let id = try await site.enqueue(kind: "quick")
            try await lose(site)
            try await site.withWorker { _ in try await site.untilStatus(.completed, id, within: .seconds(30)) }
        }
    }

    @Test(arguments: Engine.underTest)
    func whoBeatSinceItWasJudgedKeepsItsTasks(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            try await site.enqueue()
            try await lose(site)
            let engine = site.engine
            let judged = try #require(try await engine.heartbeats()["ghost"])
            #expect(try await site.database.write { sql in try engine.beat("ghost", in: sql) })
            #expect(try await engine.rescue("ghost", heartbeat: judged) == 0)
            #expect(try await engine.rescue("ghost", heartbeat: judged + 1) == 1)
            #expect(try await site.database.write { sql in try engine.beat("ghost", in: sql) } == false)
        }
    }

    /// An attempt that kept a new checkpoint before it was lost costs nothing; one that did not counts.
    @Test(arguments: Engine.underTest)
    func anAttemptThatGotFurtherIsGivenBack(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let handler = HeldHandler(.custom, .ignores)
            site.engine.register([handler])
            try await site.withWorker { running in
                let id = try await site.enqueue { $0.maximumAttempts = 2 }
                for step in 1...4 {
                    let attempt = try await handler.attempts.next()
                    #expect(attempt.task.attempt == 1)
                    try await attempt.task.save(["step": .integer(Int64(step))])
                    try await rescue(site, running)
                    attempt.complete()
                }
                for attempt in 1...2 {
                    let held = try await handler.attempts.next()
                    #expect(held.task.attempt == attempt)
                    #expect(held.task.checkpoint?["step"] == 4)
                    try await rescue(site, running)
                    site.clock.advance(by: .seconds(60))
                    try await site.wake()
                    held.complete()
                }
                try await site.untilStatus(.failed, id)
            }
        }
    }

    private func rescue(_ site: TaskSite, _ running: RunningWorker) async throws {
        let engine = site.engine
        _ = try await engine.rescue(running.worker.id, heartbeat: nil)
        try await site.database.write { sql in try engine.enlist(running.worker.id, name: "one", isLease: false, in: sql) }
    }

    @Test(arguments: Engine.underTest)
    func aPoisonTaskEndsAsADeadLetter(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let id = try await site.enqueue { $0.maximumAttempts = 3 }
            for attempt in 1...3 {
                #expect(try await site.task(id).status == .pending)
                try await lose(site)
                #expect(try await site.task(id).attempt == attempt)
                #expect(try await site.engine.rescue("ghost", heartbeat: nil) == 1)
                site.clock.advance(by: .seconds(3600))
            }
            let dead = try await site.task(id)
            #expect(dead.status == .failed)
            #expect(dead.errorCode == "WORKER_LOST")
            #expect(dead.deadAt != nil)
            #expect(try await site.service.attempts(id, in: .someone).map(\.outcome) == [.lost, .lost, .lost])
        }
    }

    /// The one process that owns its database takes back at its start; workers outside keep their leases.
    @Test(arguments: Engine.underTest)
    func orphansAreTakenBackAtStart(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let orphan = try await site.enqueue()
            try await lose(site, "dead")
            let leased = try await site.enqueue()
            try await lose(site, "outside", isLease: true)
            let ownerless = try await site.enqueue()
            _ = try await site.claim(1, worker: "nobody")
            #expect(try await site.engine.takeBackOrphans() == 2)
            #expect(try await site.task(orphan).status == .pending)
            #expect(try await site.task(ownerless).status == .pending)
            #expect(try await site.task(leased).status == .inProgress)
            #expect(try await site.engine.heartbeats().keys.sorted() == ["outside"])
        }
    }

    /// A process that stood still, was taken for lost and woke up takes new work before it learns of that: nothing is stuck.
    @Test(arguments: Engine.underTest)
    func aWorkerThatComesBackLosesNothingItTakesThen(kind: Engine) async throws {
        try await TaskSite.with(kind, { $0.heartbeat = .milliseconds(500) }) { site in
            let handler = HeldHandler()
            site.engine.register([handler])
            try await site.withWorker { running in
                try await eventually { try await !site.engine.heartbeats().isEmpty }
                _ = try await site.engine.rescue(running.worker.id, heartbeat: nil)
                let id = try await site.enqueue()
                let attempt = try await handler.attempts.next()
                // It is on record again.
                try await eventually { try await site.engine.heartbeats()[running.worker.id] != nil }
                attempt.complete()
                // Where that attempt was taken from it, another one runs.
                let helper = Task { while true { try await handler.attempts.next().complete() } }
                defer { helper.cancel() }
                try await site.untilStatus(.completed, id, within: .seconds(5))
            }
        }
    }

    /// The reply to a claim is lost: it was made all the same, and the tasks run.
    @Test(arguments: Engine.underTest)
    func aClaimWhoseReplyIsLostLeavesNothingStuck(kind: Engine) async throws {
        try await TaskSite.with(kind, { $0.heartbeat = .milliseconds(200) }) { site in
            let id = try await site.enqueue(kind: "quick")
            try await lose(site, "nobody", tasks: 0)
            // Enlisting is the worker's first write, its claim the second.
            let held = Gate()
            let goOn = Gate()
            site.database.hold(reached: held, until: goOn)
            try await site.withWorker { _ in
                await held.wait()
                let (reached, until) = (Gate(), Gate())
                site.database.hold(reached: reached, until: until)
                goOn.open()
                await reached.wait()
                site.database.loseReplies(1)
                until.open()
                try await site.untilStatus(.completed, id, within: .seconds(8))
            }
        }
    }
}
