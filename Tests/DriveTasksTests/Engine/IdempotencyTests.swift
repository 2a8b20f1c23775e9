import DriveEvents
import DriveModel
import EngineTestSupport
import Testing

@testable import DriveTasks

/// A client's key: what it made is made once, whatever it is.
@Suite(.timeLimit(.minutes(3))) struct IdempotencyTests {
    private static let task = CreateTaskRequest(type: .custom, kind: "quick")

    /// What a key can make.
    enum Thing: CaseIterable, Sendable {
        case task, batch, timetable

        /// Makes one; its id, and whether it is new.
        func make(_ service: TaskService, key: String?, priority: Int = 0, by caller: Caller = .someone) async throws -> (String, Bool) {
            var request = IdempotencyTests.task
            request.priority = priority
            switch self {
            case .task:
                let made = try await service.createTask(request, idempotencyKey: key, by: caller)
                return (made.task.taskId, made.isNew)
            case .batch:
                let made = try await service.makeBatch(name: "b", tasks: [request], idempotencyKey: key, by: caller)
                return (made.batch.batchId, made.isNew)
            case .timetable:
                let made = try await service.makeSchedule(cron: "@daily", task: request, idempotencyKey: key, by: caller)
                return (made.schedule.scheduleId, made.isNew)
            }
        }

        func remove(_ id: String, _ site: TaskSite) async throws {
            switch self {
            case .task:
                _ = try await site.service.cancelTask(id, in: .someone, by: .someone)
                try await site.service.deleteTask(id, in: .someone, by: .someone)
            case .batch: Issue.record("nobody removes a batch")
            case .timetable: try await site.service.deleteSchedule(id, in: .someone, by: .someone)
            }
        }
    }

    @Test(arguments: Engine.underTest, Thing.allCases)
    func aKeyMakesOneThing(kind: Engine, thing: Thing) async throws {
        try await TaskSite.with(kind) { site in
            let service = site.service
            let answers = try await withThrowingTaskGroup(of: (String, Bool).self) { group in
                for _ in 0..<6 { group.addTask { try await thing.make(service, key: "k") } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(answers.map(\.0)).count == 1)
            #expect(answers.count { $0.1 } == 1)
            let (id, isNew) = try await thing.make(service, key: "k")
            #expect(id == answers[0].0 && !isNew)
            await expectRefusal(.idempotencyConflict) { _ = try await thing.make(service, key: "k", priority: 1) }
            #expect(try await thing.make(service, key: "k", by: .other).1)
            #expect(try await thing.make(service, key: nil).1)
            #expect(try await thing.make(service, key: nil).1)
        }
    }

    /// A key stands for one thing of one sort.
    @Test(arguments: Engine.underTest)
    func aKeyOfAnotherSortIsRefused(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            for (index, thing) in Thing.allCases.enumerated() {
                _ = try await thing.make(site.service, key: "k\(index)")
                for other in Thing.allCases where other != thing {
                    await expectRefusal(.idempotencyConflict) { _ = try await other.make(site.service, key: "k\(index)") }
                }
            }
        }
    }

    /// The request was done; a repetition does not do it again, and says so.
    @Test(arguments: Engine.underTest, [Thing.task, .timetable])
    func whatWasRemovedIsNotMadeAgain(kind: Engine, thing: Thing) async throws {
        try await TaskSite.with(kind) { site in
            let (id, _) = try await thing.make(site.service, key: "k")
            try await thing.remove(id, site)
            let error = await expectRefusal(.idempotencyResultGone) { _ = try await thing.make(site.service, key: "k") }
            #expect(error?.details["id"] == .string(id))
            #expect(error?.message.contains(id) == true)
            #expect(try await thing.make(site.service, key: "new").1)
        }
    }

    /// The one that a refusal is about, among several.
    @Test(arguments: Engine.underTest)
    func aRefusedDependencyIsNamed(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let good = try await site.enqueue()
            let ended = try await site.enqueue()
            _ = try await site.service.cancelTask(ended, in: .someone, by: .someone)
            let others = try await site.enqueue(.other)
            for (bad, code, status) in [
                ("nothing", DriveError.Code.taskNotFound, nil), (others, .taskNotFound, nil), (ended, .taskState, "Cancelled"),
            ] as [(String, DriveError.Code, String?)] {
                var request = Self.task
                request.dependsOn = [good, bad]
                let error = await expectRefusal(code) {
                    _ = try await site.service.createTask(request, idempotencyKey: nil, by: .someone)
                }
                #expect(error?.details["taskId"] == .string(bad))
                #expect(error?.details["rule"] == "dependsOn")
                #expect(error?.details["status"]?.string == status)
                #expect(error?.message.contains(bad) == true && error?.message.contains(good) == false)
                let inBatch = await expectRefusal(code) {
                    _ = try await site.service.makeBatch(name: "b", tasks: [Self.task, request], idempotencyKey: nil, by: .someone)
                }
                #expect(inBatch?.details["index"] == 1)
            }
            #expect(try await site.service.tasks(TaskListQuery(), in: .someone).total == 2)
        }
    }

    /// Six plain characters are none of the character that PostgreSQL stores nowhere.
    @Test(arguments: Engine.underTest)
    func theLettersOfAnEscapeAreKept(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let parameters: [String: JSONValue] = [
                #"\u0000"#: [.string(#"a\u0000b"#), .string(#"\\u0000"#)], "big": [9_007_199_254_740_993, .integer(.min), .unsigned(.max)],
            ]
            var request = Self.task
            request.parameters = parameters
            let made = try await site.service.createTask(request, idempotencyKey: nil, by: .someone).task
            #expect(made.parameters == parameters)
            #expect(try await site.task(made.taskId).parameters == parameters)
            for bad: JSONValue in ["\0", ["a\0"], ["\0": 1]] {
                request.parameters = ["p": bad]
                let error = await expectRefusal(.invalidRequest) {
                    _ = try await site.service.createTask(request, idempotencyKey: nil, by: .someone)
                }
                #expect(error?.details["rule"] == "parameters")
            }
        }
    }

    /// The server's own timetables are no administrator's to end.
    @Test(arguments: Engine.underTest)
    func theServersOwnTimetablesStay(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            try await site.engine.keep([
                TaskEngine.FixedSchedule(scheduleId: "own", cron: try CronExpression("@daily"), task: Self.task)
            ])
            let (theirs, _) = try await Thing.timetable.make(site.service, key: nil)
            await expectRefusal(.notFound) { try await site.service.deleteSchedule(theirs, in: .other, by: .other) }
            await expectRefusal(.forbidden) { try await site.service.deleteSchedule("own", in: .everybody, by: .other) }
            try await site.service.deleteSchedule(theirs, in: .everybody, by: .other)
            #expect(try await site.service.schedules(in: .everybody).map(\.scheduleId) == ["own"])
        }
    }
}
