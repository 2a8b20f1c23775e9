import DriveDatabase
import DriveEvents
import DriveModel
import EngineTestSupport
import Testing

@testable import DriveTasks

/// A worker that stops in an orderly way.
@Suite(.timeLimit(.minutes(3))) struct StopTests {
    @Test(arguments: Engine.underTest)
    func letsRunningTasksEnd(kind: Engine) async throws {
        try await TaskSite.with(kind, { $0.drainTime = .seconds(20) }) { site in
            let handler = HeldHandler()
            site.engine.register([handler])
            let worker = RunningWorker(TaskWorker(engine: site.engine, name: "one"))
            let id = try await site.enqueue()
            let attempt = try await handler.attempts.next()
            worker.beginStopping()
            try await eventually { worker.worker.isStopping }
            let later = try await site.enqueue()
            attempt.complete()
            try await worker.stop()
            #expect(try await site.task(id).status == .completed)
            // It takes nothing more.
            #expect(try await site.task(later).status == .pending)
            // And leaves no trace of itself.
            #expect(try await site.engine.heartbeats().isEmpty)
        }
    }

    @Test(arguments: Engine.underTest, [HeldHandler.Manner.heeds, .ignores])
    func givesBackWhatDoesNotEndAndNoAttemptCounts(kind: Engine, manner: HeldHandler.Manner) async throws {
        try await TaskSite.with(
            kind,
            {
                $0.drainTime = .milliseconds(100)
                $0.interruptionPatience = .milliseconds(200)
            }
        ) { site in
            let handler = HeldHandler(.custom, manner)
            site.engine.register([handler])
            let worker = RunningWorker(TaskWorker(engine: site.engine, name: "one"))
            let id = try await site.enqueue { $0.maximumAttempts = 1 }
            let first = try await handler.attempts.next()
            try await first.task.save(["step": 1], progress: 10)
            try await worker.stop()
            let task = try await site.task(id)
            #expect(task.status == .pending)
            #expect(task.attempt == 0)
            #expect(try await site.service.attempts(id, in: .someone).isEmpty)
            try await site.withWorker(name: "two") { _ in
                let second = try await handler.attempts.next()
                #expect(second.task.checkpoint?["step"] == 1)
                first.complete(["old": true])
                second.complete(["new": true])
                try await site.untilStatus(.completed, id)
                #expect(try await site.task(id).results == ["new": true])
            }
        }
    }

    /// A claim that is under way while the worker stops: its task is given back, or ended; never left behind.
    @Test(arguments: Engine.underTest)
    func aClaimUnderWayIsNotLeftBehind(kind: Engine) async throws {
        try await TaskSite.with(kind, { $0.drainTime = .milliseconds(100) }) { site in
            let handler = HeldHandler()
            site.engine.register([handler])
            let worker = RunningWorker(TaskWorker(engine: site.engine, name: "one"))
            try await eventually { try await !site.engine.heartbeats().isEmpty }
            let id = try await site.enqueue { $0.runAt = ManualClock.start + .seconds(60) }
            let (reached, goOn) = (Gate(), Gate())
            site.clock.advance(by: .seconds(61))
            site.database.hold(reached: reached, until: goOn)
            let waker = Task { while !Task.isCancelled { worker.worker.workSignal.signal(); try await Task.sleep(for: .milliseconds(20)) } }
            await reached.wait()
            waker.cancel()
            worker.beginStopping()
            // Until the worker has said that it is gone, or waits for its claim.
            try? await eventually(within: .seconds(2)) { try await site.engine.heartbeats().isEmpty }
            goOn.open()
            try await worker.stop()
            let task = try await site.task(id)
            #expect([.pending, .completed].contains(task.status))
            #expect(task.attempt == 0)
        }
    }
}
