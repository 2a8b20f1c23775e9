import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// The lease interface, by itself and as `examples/worker.py` speaks it.
@Suite(.timeLimit(.minutes(2))) struct PythonWorkerTests {
    /// An account of its own with a worker of its own, as the kind is the example's.
    private struct Scene: Sendable {
        let client: TestClient
        /// Speaks with the worker's token.
        let outside: TestClient

        static func make(_ account: String) async throws -> Scene {
            let client = try await SharedServer.client(account)
            let data = try await SharedServer.get().data
            let token = try await DriveCommand.succeed(
                ["token", "create", "--data", data.path, "--account", account, "--create", "--worker-kind", "word-count"],
                environment: data.environment)
            return Scene(client: client, outside: client.with(token: token.line))
        }

        func start() async throws -> WorkerProcess {
            let worker = try WorkerProcess.python(client.base, token: try #require(outside.token))
            try await worker.logged("waiting for word-count")
            return worker
        }

        /// A text of so many lines, each of which takes a while.
        func make(lines: Int, delay: Double = 0.25) async throws -> TaskSummary {
            let text = (0..<lines).map { "word line\($0)" }.joined(separator: "\n")
            return try await client.makeCustom("word-count", ["parameters": ["text": .string(text), "delay": .double(delay), "top": 1]])
        }

        func expectCounted(_ taskId: String, lines: Int, sourceLocation: SourceLocation = #_sourceLocation) async throws {
            let task = try await client.ended(taskId, sourceLocation: sourceLocation)
            #expect(
                task.results == [
                    "words": .integer(Int64(2 * lines)), "different": .integer(Int64(lines + 1)),
                    "top": [["word": "word", "count": .integer(Int64(lines))]],
                ], "each line once: \(task)", sourceLocation: sourceLocation)
        }
    }

    @Test func aTaskIsWokenForAndDone() async throws {
        let scene = try await Scene.make("python-done")
        let worker = try await scene.start()
        let made = ContinuousClock.now
        let task = try await scene.make(lines: 3, delay: 0)
        try await scene.client.task(task.taskId, is: "taken") { $0.status != .pending }
        #expect(ContinuousClock.now - made < .seconds(10), "it waits for a task, and does not ask again and again")
        try await scene.expectCounted(task.taskId, lines: 3)
        try await worker.logged("\(task.taskId): completed")
        // What the handler refuses is no matter of another attempt.
        let wrong = try await scene.client.makeCustom("word-count", ["parameters": ["text": 5]])
        let failed = try await scene.client.ended(wrong.taskId, as: .failed)
        #expect(failed.errorCode == "INVALID_PARAMETERS" && failed.attempt == 1 && failed.deadAt != nil, "\(failed)")
        worker.send(SIGTERM)
        #expect(try await worker.waitForEnd() == .exited(0), "\(worker.log)")
    }

    @Test func aPausedTaskIsGivenBackAndGoesOn() async throws {
        let scene = try await Scene.make("python-pause")
        let worker = try await scene.start()
        let task = try await scene.make(lines: 16)
        try await scene.client.task(task.taskId, is: "under way") { $0.progress > 10 }
        #expect(try await scene.client.changed(task.taskId, "pause").requested == .pause)
        let paused = try await scene.client.task(task.taskId, within: .seconds(10), is: "paused") { $0.status == .paused }
        #expect(paused.attempt == 0 && paused.progress > 0 && paused.progress < 100 && paused.requested == nil, "\(paused)")
        try await worker.logged("\(task.taskId): given back")
        try await scene.client.changed(task.taskId, "resume")
        try await scene.expectCounted(task.taskId, lines: 16)
        #expect(try await scene.client.attempts(task.taskId).isEmpty)
        #expect(worker.log.components(separatedBy: "\(task.taskId): word-count, attempt 1").count == 3, "taken twice: \(worker.log)")
    }

    @Test func aCancelledTaskIsLost() async throws {
        let scene = try await Scene.make("python-cancel")
        let worker = try await scene.start()
        let task = try await scene.make(lines: 200)
        try await scene.client.task(task.taskId, is: "under way") { $0.progress > 0 }
        #expect(try await scene.client.changed(task.taskId, "cancel").status == .cancelled)
        try await worker.logged("\(task.taskId): the lease is lost")
        // It is free for the next one.
        let next = try await scene.make(lines: 2, delay: 0)
        try await scene.expectCounted(next.taskId, lines: 2)
        #expect(try await scene.client.task(task.taskId).status == .cancelled)
    }

    /// The one test here that waits for a lease of 30 s to run out: no setting makes it shorter.
    @Test func aKilledWorkersTaskIsLeasedAgain() async throws {
        let scene = try await Scene.make("python-kill")
        let killed = try await scene.start()
        let task = try await scene.make(lines: 12)
        let under = try await scene.client.task(task.taskId, is: "under way") { $0.progress > 30 }
        killed.kill()
        let lost = ContinuousClock.now
        // Its successor is stopped in the middle, which gives the task back at once.
        let stopped = try await scene.start()
        let again = try await scene.client.task(task.taskId, within: .seconds(46), is: "taken by another") { $0.progress > under.progress }
        let waited = ContinuousClock.now - lost
        #expect(waited > .seconds(25) && waited < .seconds(45), "\(waited)")
        #expect(again.status == .inProgress && again.progress >= under.progress)
        stopped.send(SIGTERM)
        #expect(try await stopped.waitForEnd() == .exited(0))
        let given = try await scene.client.task(task.taskId)
        #expect(given.status == .pending && given.progress >= under.progress, "\(given)")
        let last = try await scene.start()
        try await scene.expectCounted(task.taskId, lines: 12)
        let attempts = try await scene.client.attempts(task.taskId)
        #expect(attempts.map(\.outcome) == [.lost] && attempts.first?.errorCode == "WORKER_LOST", "\(attempts)")
        last.kill()
    }

    @Test func aLongPollIsWokenByANewTask() async throws {
        let scene = try await Scene.make("poll")
        let client = scene.client
        let kind = uniqueKind("poll")
        let asked = ContinuousClock.now
        #expect(try await client.lease(kind, waitSeconds: 1).status == 204)
        #expect((.milliseconds(900) ..< .seconds(4)).contains(ContinuousClock.now - asked))
        var times: [Duration] = []
        for _ in 0..<5 {
            async let waiting = client.lease(kind, waitSeconds: 30)
            // Long enough for the request to be waiting; where it is not, the task is there already.
            try await Task.sleep(for: .milliseconds(100))
            let made = ContinuousClock.now
            let task = try await client.makeCustom(kind)
            let lease: TaskLease = try await waiting.decode()
            times.append(ContinuousClock.now - made)
            #expect(lease.task.taskId == task.taskId && lease.expiresInSeconds == 30 && lease.heartbeatSeconds == 10)
            #expect(try await client.work("complete", lease.leaseId).status == 200)
        }
        // By its own clock it would be 0.9 s after the task.
        #expect(times.sorted()[2] < .milliseconds(500), "woken, and not by its own clock: \(times)")
        // Two wait for one task: one gets it.
        async let first = client.lease(kind, waitSeconds: 2)
        async let second = client.lease(kind, waitSeconds: 2)
        try await client.makeCustom(kind)
        let statuses = [try await first.status, try await second.status].sorted()
        #expect(statuses == [200, 204])
    }

    @Test func aLeaseIsHeldByWhoKnowsIt() async throws {
        let scene = try await Scene.make("lease")
        let (client, outside) = (scene.client, scene.outside)
        let task = try await client.makeCustom("word-count", ["parameters": ["text": "a"]])
        // The token is good for its kinds and for work alone.
        expectRefusal(try await outside.lease("other", waitSeconds: 0), 403, "FORBIDDEN")
        for path in ["/tasks", "/tasks/\(task.taskId)", "/files/me", "/tasks/stats"] {
            expectRefusal(try await outside.get(path), 403, "FORBIDDEN", comment: path)
        }
        expectRefusal(try await outside.change(task.taskId, "cancel"), 403, "FORBIDDEN")

        let lease: TaskLease = try await outside.lease("word-count").decode()
        #expect(lease.task.taskId == task.taskId && lease.checkpoint == nil)
        let progress = try await outside.work(
            "progress", lease.leaseId, ["progress": 40, "statusMessage": "half", "checkpoint": ["line": 7]])
        #expect(progress.status == 200 && progress.json == [:], "\(progress)")
        let seen = try await client.task(task.taskId)
        #expect(seen.progress == 40 && seen.statusMessage == "half", "\(seen)")
        // Progress never goes back.
        #expect(try await outside.work("progress", lease.leaseId, ["progress": 10]).status == 200)
        #expect(try await client.task(task.taskId).progress == 40)
        for wrong: [String: JSONValue] in [["progress": 101], ["progress": -1], ["progress": "half"], [:]] {
            expectRefusal(try await outside.work("progress", lease.leaseId, wrong), 400, "INVALID_REQUEST", comment: "\(wrong)")
        }
        try await client.changed(task.taskId, "pause")
        #expect(try await outside.work("heartbeat", lease.leaseId).json == ["requested": "pause"])
        #expect(try await outside.work("progress", lease.leaseId, ["progress": 50]).json == ["requested": "pause"])
        let released: TaskSummary = try await outside.work("release", lease.leaseId).decode()
        #expect(released.status == .paused && released.attempt == 0, "\(released)")
        for action in ["heartbeat", "release", "complete"] {
            expectRefusal(try await outside.work(action, lease.leaseId), 409, "LEASE_LOST", comment: action)
        }
        try await client.changed(task.taskId, "resume")
        let again: TaskLease = try await outside.lease("word-count").decode()
        #expect(again.checkpoint == ["line": 7] && again.leaseId != lease.leaseId)
        #expect(try await client.changed(task.taskId, "cancel").status == .cancelled)
        for action in ["heartbeat", "release", "complete"] {
            expectRefusal(try await outside.work(action, again.leaseId), 409, "LEASE_LOST", comment: action)
        }
        let failure = try await outside.work("fail", again.leaseId, ["errorMessage": "too late"])
        expectRefusal(failure, 409, "LEASE_LOST")
        #expect(try await client.task(task.taskId).status == .cancelled)
    }
}
