import DriveModel
import Foundation
import Synchronization
import Testing

@testable import DriveClient

/// Following tasks by events, and what keeps an end from being missed.
@Suite(.timeLimit(.minutes(1))) struct TaskFollowTests {
    /// Tasks that a test changes, on a server whose streams a test speaks through.
    private final class Stage: Sendable {
        private struct State {
            var tasks: [String: TaskSummary] = [:]
            var tellers: [AsyncStream<String>.Continuation] = []
            /// Answers before the streams begin.
            var answers: [ServerAnswer]
            var log: [String] = []
        }
        private let state: Mutex<State>
        /// Told of each look at a task, before it is answered.
        private let onLook: @Sendable (Stage, _ looks: Int) -> Void

        init(_ tasks: [TaskSummary], before answers: [ServerAnswer] = [], onLook: @escaping @Sendable (Stage, Int) -> Void = { _, _ in }) {
            state = Mutex(State(tasks: Dictionary(tasks.map { ($0.taskId, $0) }) { $1 }, answers: answers))
            self.onLook = onLook
        }

        var log: [String] { state.withLock { $0.log } }

        /// Changes a task without a word about it.
        func set(_ task: TaskSummary?, id: String) { state.withLock { $0.tasks[id] = task } }

        func tell(_ text: String) { _ = state.withLock { $0.tellers.last }?.yield(text) }

        /// Cuts the stream off.
        func cut() { state.withLock { $0.tellers.last }?.finish() }

        @Sendable func answer(_ request: ServerRequest) -> ServerAnswer {
            state.withLock { $0.log.append(request.path + (request.query["status"].map { "?\($0)" } ?? "")) }
            if request.path == "/api/events" { return open(request) }
            let looks = log.count(where: { $0 == request.path })
            if request.query["status"] == nil { onLook(self, looks) }
            let tasks = state.withLock { $0.tasks }
            if let status = request.query["status"] { return TaskScene.reply(tasks.values.filter { $0.status.rawValue == status }) }
            return tasks[String(request.path.split(separator: "/").last ?? "")].map { TaskScene.reply($0) }
                ?? errorAnswer(404, "TASK_NOT_FOUND")
        }

        private func open(_ request: ServerRequest) -> ServerAnswer {
            state.withLock { state in
                if !state.answers.isEmpty { return state.answers.removeFirst() }
                if let id = request.query["task"], state.tasks[id] == nil { return errorAnswer(404, "TASK_NOT_FOUND") }
                let (pieces, teller) = AsyncStream.makeStream(of: String.self)
                state.tellers.append(teller)
                teller.yield(LiveScene.ready(10) + LiveScene.snapshot(10))
                return .stream(pieces, end: .cut)
            }
        }
    }

    private static func progress(_ sequence: Int64, _ id: String, _ progress: Double, at second: Int64) -> String {
        LiveScene.event(
            sequence, "task.progress",
            [
                "taskId": .string(id), "progress": .double(progress), "status": "InProgress", "statusMessage": "at work",
                "lastActivity": .string(Timestamp(seconds: second).description),
            ])
    }

    private static func ended(_ sequence: Int64, _ id: String, _ word: String = "completed") -> String {
        LiveScene.event(sequence, "task.\(word)", ["taskId": .string(id)])
    }

    @Test func aTaskIsFollowedByItsEvents() async throws {
        let begun = TaskScene.task("t", .pending, at: 1)
        let done = TaskScene.task("t", .completed, progress: 100, at: 9)
        let stage = Stage([begun]) { stage, looks in
            if looks == 1 {
                stage.tell(Self.progress(11, "t", 0, at: 2) + Self.progress(12, "t", 30, at: 3) + Self.progress(13, "t", 30, at: 4))
                // Of before the look, and of another task.
                stage.tell(Self.progress(14, "t", 5, at: 1) + Self.ended(15, "u") + Self.ended(16, "t"))
            } else {
                stage.set(done, id: "t")
            }
        }
        try await LiveScene.with(stage.answer) { client, clock in
            var seen: [TaskSummary] = []
            for try await task in client.followTasks(["t"]) { seen.append(task) }
            let states = seen.map { "\($0.status.rawValue) \(Int($0.progress))" }
            #expect(states == ["Pending 0", "InProgress 0", "InProgress 30", "Completed 100"])
            #expect(seen.dropFirst().dropLast().allSatisfy { $0.statusMessage == "at work" && $0.parameters == begun.parameters })
            #expect(seen.last == done, "an end is the task itself")
            #expect(clock.waits.isEmpty)
        }
        #expect(stage.log == ["/api/events", "/api/tasks/t", "/api/tasks/t"], "progress asks for nothing")
    }

    @Test func anEndWhileTheConnectionIsAwayIsNotMissed() async throws {
        // It ends while nobody is told; and it ends while no stream is to be had at all.
        for answers in [[], Array(repeating: errorAnswer(503, "DATABASE_UNAVAILABLE"), count: 100)] {
            let stage = Stage([TaskScene.task("t", .inProgress, progress: 10)], before: answers) { stage, looks in
                if looks == 1 { stage.cut() } else { stage.set(TaskScene.task("t", .failed, progress: 10, at: 5), id: "t") }
            }
            try await LiveScene.with(stage.answer) { client, _ in
                let task = try await client.awaitTask("t")
                #expect(task.status == .failed)
            }
            #expect(stage.log.count < 10)
        }
    }

    @Test func whatNoEventTellsIsFoundWithTheNextSignOfLife() async throws {
        let stage = Stage([TaskScene.task("t", .pending)]) { stage, looks in
            if looks < 3 { stage.tell(": keep-alive\n\n") }
            if looks == 2 { stage.set(TaskScene.task("t", .inProgress, requested: .pause, at: 5), id: "t") }
            if looks == 3 { stage.set(TaskScene.task("t", .completed, at: 6), id: "t") }
        }
        try await LiveScene.with(stage.answer) { client, _ in
            var seen: [TaskStatus] = []
            for try await task in client.followTasks(["t"]) { seen.append(task.status) }
            #expect(seen == [.pending, .inProgress, .completed])
        }
        #expect(stage.log == ["/api/events"] + Array(repeating: "/api/tasks/t", count: 3))
    }

    @Test func whatEndedBeforeIsToldAtOnce() async throws {
        let stage = Stage([TaskScene.task("t", .cancelled)])
        try await LiveScene.with(stage.answer) { client, _ in
            let task = try await client.awaitTask("t")
            #expect(task.status == .cancelled)
        }
    }

    @Test func aTaskThatIsNotThereIsAnError() async throws {
        let stage = Stage([])
        try await LiveScene.with(stage.answer) { client, _ in
            let error = await #expect(throws: DriveClientError.self) { try await client.awaitTask("t") }
            #expect(error?.serverReply?.code == "TASK_NOT_FOUND")
            let looks = Mutex(0)
            let other = await #expect(throws: DriveClientError.self) {
                for try await _ in client.followTasks(["t"], onLooks: { looks.withLock { $0 += 1 } }) {}
            }
            #expect(other?.serverReply?.code == "TASK_NOT_FOUND" && looks.withLock { $0 } == 0, "that is no older server")
        }
        #expect(stage.log == ["/api/events", "/api/events"])
    }

    @Test func oneThatEndedAndWasDeletedDoesNotEndTheOthers() async throws {
        let stage = Stage([TaskScene.task("z", .inProgress), TaskScene.task("a", .inProgress)]) { stage, _ in
            switch stage.log.count(where: { $0 != "/api/events" }) {
            case 2: stage.tell(Self.ended(11, "z"))
            case 3: stage.set(TaskScene.task("z", .completed, at: 5), id: "z")
            default: break
            }
            // It ends when its own stream is there: the one before it was for both, and refused.
            if stage.log.count(where: { $0 == "/api/events" }) == 3 { stage.set(TaskScene.task("a", .completed, at: 6), id: "a") }
        }
        try await LiveScene.with(stage.answer) { client, _ in
            var seen: [String] = []
            for try await task in client.followTasks(["a", "z"]) {
                seen.append("\(task.taskId) \(task.status.rawValue)")
                // The server looks at the ids it is asked for, of which one is no more.
                if task.taskId == "z", task.status == .completed {
                    stage.set(nil, id: "z")
                    stage.cut()
                }
            }
            #expect(seen == ["a InProgress", "z InProgress", "z Completed", "a Completed"])
        }
    }

    @Test(arguments: [404, 405]) func anOlderServerIsAsked(status: Int) async throws {
        let stage = Stage(
            [TaskScene.task("t", .pending)],
            before: Array(repeating: errorAnswer(status, status == 404 ? "NOT_FOUND" : "METHOD_NOT_ALLOWED"), count: 100)
        ) { stage, looks in
            if looks == 3 { stage.set(TaskScene.task("t", .completed, at: 5), id: "t") }
        }
        try await LiveScene.with(stage.answer) { client, clock in
            let told = Mutex(0)
            var seen: [TaskStatus] = []
            for try await task in client.followTasks(["t"], orEvery: .seconds(5), onLooks: { told.withLock { $0 += 1 } }) {
                seen.append(task.status)
            }
            #expect(seen == [.pending, .completed])
            #expect(told.withLock { $0 } == 1 && clock.waits == [.seconds(5), .seconds(5)])
        }
        #expect(stage.log == ["/api/events"] + Array(repeating: "/api/tasks/t", count: 3))
    }

    @Test func openTasksAreFollowedWithThoseThatAreMadeMeanwhile() async throws {
        let stage = Stage([TaskScene.task("a", .inProgress), TaskScene.task("b", .paused)]) { stage, _ in
            // Each look at a task is for an event of it.
            switch stage.log.filter({ $0.contains("/api/tasks/") }).count {
            case 1: stage.set(TaskScene.task("a", .completed, at: 5), id: "a")
            case 2: stage.set(nil, id: "b")
            default: break
            }
        }
        try await LiveScene.with(stage.answer) { client, _ in
            var seen: [String] = []
            for try await task in client.followTasks() {
                seen.append("\(task.taskId) \(task.status.rawValue)")
                switch seen.count {
                // b is deleted, c is made; late news of a are none; then c alone is open.
                case 2: stage.tell(Self.ended(11, "a"))
                case 3:
                    stage.set(TaskScene.task("c", .pending, at: 6), id: "c")
                    stage.tell(Self.progress(12, "a", 90, at: 4) + Self.ended(13, "b", "cancelled") + Self.ended(14, "c", "created"))
                case 4:
                    // Unannounced: the last look finds d.
                    stage.set(TaskScene.task("c", .expired, at: 7), id: "c")
                    stage.set(TaskScene.task("d", .pending, at: 7), id: "d")
                    stage.tell(Self.ended(15, "c", "expired"))
                case 6:
                    stage.set(TaskScene.task("d", .completed, at: 8), id: "d")
                    stage.tell(Self.ended(16, "d"))
                default: break
                }
            }
            #expect(Set(seen.prefix(2)) == ["a InProgress", "b Paused"])
            #expect(seen.dropFirst(2) == ["a Completed", "c Pending", "c Expired", "d Pending", "d Completed"])
        }
    }

    @Test func moreThanAHundredAreFollowedByAllEvents() async throws {
        let ids = (0..<101).map { "t\($0)" }
        let stage = Stage(ids.map { TaskScene.task($0, .completed) })
        try await LiveScene.with(stage.answer) { client, _ in
            var seen = 0
            for try await _ in client.followTasks(Set(ids)) { seen += 1 }
            #expect(seen == 101)
        }
    }

    @Test func aReopenedTaskIsNewsAndALateEventIsNone() {
        var board = TaskBoard(nil)
        func told() -> [TaskStatus] {
            var all: [TaskStatus] = []
            while let task = board.next() { all.append(task.status) }
            return all
        }
        board.look(TaskScene.task("t", .failed, at: 5))
        #expect(told() == [.failed] && board.followed.isEmpty)
        board.look(TaskScene.task("t", .failed, at: 5))
        #expect(told().isEmpty)
        board.look(TaskScene.task("t", .pending, at: 6))
        #expect(told() == [.pending] && board.followed == ["t"])
        #expect(board.hear(.init(type: "task.progress", sequence: 1, data: ["taskId": "t"])) == .task("t"), "it says too little")
        let wild: [String: JSONValue] = [
            "taskId": "t", "progress": .double(1e300), "status": "InProgress", "lastActivity": .string(Timestamp(seconds: 8).description),
        ]
        #expect(board.hear(.init(type: "task.progress", sequence: 1, data: wild)) == .task("t"), "it is no percent")
        // Of before the look.
        let late: [String: JSONValue] = [
            "taskId": "t", "progress": 50, "status": "InProgress", "lastActivity": .string(Timestamp(seconds: 5).description),
        ]
        #expect(board.hear(.init(type: "task.progress", sequence: 1, data: late)) == .nothing && told().isEmpty)
        #expect(board.hear(.init(type: "batch.completed", sequence: 2, data: ["batchId": "b"])) == .nothing)
    }
}
