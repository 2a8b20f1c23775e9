import DriveDatabase
import DriveModel
import EngineTestSupport
import Testing

@testable import DriveTasks

/// Timetables, and the clock of the machine.
@Suite(.timeLimit(.minutes(3))) struct ScheduleTests {
    private static let task = CreateTaskRequest(type: .custom, kind: "quick", name: "again")

    private func made(_ site: TaskSite) async throws -> Int {
        try await site.service.tasks(TaskListQuery(), in: .someone).total
    }

    @Test(arguments: Engine.underTest, [("@every 15m", 900), ("0 * * * *", 3600)])
    func makesATaskEachTime(kind: Engine, item: (cron: String, seconds: Int)) async throws {
        try await TaskSite.with(kind) { site in
            let engine = site.engine
            let schedule = try await site.service.createSchedule(cron: item.cron, task: Self.task, by: .someone)
            let first = schedule.nextRunAt
            #expect(try await engine.runDueSchedules() == first)
            #expect(try await made(site) == 0)
            for run in 1...3 {
                site.clock.advance(by: .seconds(item.seconds))
                _ = try await engine.runDueSchedules()
                #expect(try await made(site) == run)
                let task = try #require(try await site.claim(5).first)
                #expect(try await site.service.schedules(in: .someone).first?.lastTaskId == task.taskId)
                try await site.end([task])
                // Not twice for one time.
                _ = try await engine.runDueSchedules()
                #expect(try await made(site) == run)
            }
        }
    }

    /// While the last run is open its time passes; and of many servers one makes the task.
    @Test(arguments: Engine.underTest)
    func oneRunAtATimeOverAllServers(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let engines = [site.engine, site.secondEngine([])]
            _ = try await site.service.createSchedule(cron: "@every 1m", task: Self.task, by: .someone)
            for run in 1...3 {
                for _ in 0..<3 {
                    site.clock.advance(by: .seconds(61))
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for number in 0..<4 { group.addTask { _ = try await engines[number % 2].runDueSchedules() } }
                        try await group.waitForAll()
                    }
                    #expect(try await made(site) == run)
                }
                try await site.end(try await site.claim(5))
            }
        }
    }

    @Test(arguments: Engine.underTest)
    func workersRunThem(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let handler = HeldHandler(kind: "timed")
            site.engine.register([handler])
            try await site.withWorker { _ in
                try await site.withWorker(site.secondEngine([handler]), name: "two") { _ in
                    var task = Self.task
                    task.kind = "timed"
                    let id = try await site.service.createSchedule(cron: "@every 1h", task: task, by: .someone).scheduleId
                    for _ in 0..<2 {
                        site.clock.advance(by: .seconds(3601))
                        try await site.wake()
                        let attempt = try await handler.attempts.next()
                        attempt.complete()
                        try await site.untilStatus(.completed, attempt.task.taskId)
                    }
                    await expectRefusal(.notFound) { try await site.service.deleteSchedule(id, in: .other, by: .other) }
                    try await site.service.deleteSchedule(id, in: .someone, by: .someone)
                    #expect(try await site.service.schedules(in: .everybody).isEmpty)
                    #expect(handler.attempts.count == 0)
                }
            }
        }
    }

    @Test(arguments: Engine.underTest)
    func theProgramsOwnKeepTheirTimeOverRestarts(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let (hourly, daily) = (try CronExpression("@every 1h"), try CronExpression("@daily"))
            try await site.engine.keep([.init(scheduleId: "house", cron: hourly, task: Self.task)])
            let first = try #require(try await site.service.schedules(in: .everybody).first?.nextRunAt)
            site.clock.advance(by: .seconds(1800))
            try await site.engine.keep([.init(scheduleId: "house", cron: hourly, task: Self.task)])
            #expect(try await site.service.schedules(in: .everybody).map(\.nextRunAt) == [first])
            try await site.engine.keep([.init(scheduleId: "house", cron: daily, task: Self.task)])
            #expect(try await site.service.schedules(in: .everybody).map(\.cron) == ["@daily"])
            #expect(try await site.service.schedules(in: .everybody).first?.nextRunAt != first)
        }
    }

    @Test(arguments: Engine.underTest)
    func refusesWhatNeverComesAndWhatIsTooMuch(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            for cron in ["0 0 30 2 *", "61 * * * *", "@every 0s"] {
                await expectRefusal(.invalidRequest) {
                    _ = try await site.service.createSchedule(cron: cron, task: Self.task, by: .someone)
                }
            }
            var task = Self.task
            task.uniqueKey = "k"
            await expectRefusal(.invalidRequest) { [task] in
                _ = try await site.service.createSchedule(cron: "@daily", task: task, by: .someone)
            }
            for _ in 0..<TaskEngine.maximumSchedules {
                _ = try await site.service.createSchedule(cron: "@daily", task: Self.task, by: .someone)
            }
            await expectRefusal(.tooManyTasks) {
                _ = try await site.service.createSchedule(cron: "@daily", task: Self.task, by: .someone)
            }
        }
    }

    // MARK: The clock jumps

    /// A timetable does not wait for the time that once was; nor does it make up for all the time that never was.
    @Test(arguments: Engine.underTest)
    func theClockMayJumpByADay(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let engine = site.engine
            _ = try await site.service.createSchedule(cron: "@every 1m", task: Self.task, by: .someone)
            site.clock.advance(by: .seconds(86_400))
            for _ in 0..<3 { _ = try await engine.runDueSchedules() }
            #expect(try await made(site) == 1)
            try await site.end(try await site.claim(1))
            site.clock.advance(by: .seconds(-86_400))
            _ = try await engine.runDueSchedules()
            site.clock.advance(by: .seconds(61))
            _ = try await engine.runDueSchedules()
            #expect(try await made(site) == 2)
            try await site.end(try await site.claim(1))
        }
    }

    /// A retry's wait is a wait, not a time of day.
    @Test(arguments: Engine.underTest)
    func waitsStayShortWhenTheClockGoesBack(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let id = try await site.enqueue()
            let delayed = try await site.enqueue { [now = site.clock.now] in $0.runAt = now + .seconds(3600) }
            let told = try await site.task(delayed).runAt
            try await site.fail(try await site.claim(1))
            site.clock.advance(by: .seconds(-86_400))
            try await site.engine.shortenWaits()
            let wait = try #require(try await site.task(id).runAt) - site.clock.now
            #expect(wait <= .seconds(7200))
            // Its owner's own time is a time of day.
            #expect(try await site.task(delayed).runAt == told)
        }
    }

    /// Leases go by heartbeats and the steady clock: no running task is lost, and none ends.
    @Test(arguments: Engine.underTest, [86_400, -86_400])
    func leasesOutliveAJump(kind: Engine, seconds: Int) async throws {
        try await TaskSite.with(
            kind,
            { settings in
                settings.heartbeat = .milliseconds(200)
                settings.leasePatience = .seconds(4)
            }
        ) { site in
            let handler = HeldHandler()
            site.engine.register([handler])
            try await site.withWorker { running in
                try await site.withWorker(site.secondEngine([handler]), name: "two") { other in
                    let id = try await site.enqueue()
                    let attempt = try await handler.attempts.next()
                    site.clock.advance(by: .seconds(seconds))
                    let before = try await site.engine.heartbeats()
                    // Ten signs of life later everybody has looked at the others.
                    try await eventually {
                        let now = try await site.engine.heartbeats()
                        return [running, other].allSatisfy { now[$0.worker.id] ?? 0 > (before[$0.worker.id] ?? 0) + 10 }
                    }
                    try await attempt.task.save(["still": true], progress: 50)
                    attempt.complete()
                    try await site.untilStatus(.completed, id)
                    #expect(try await site.task(id).attempt == 1)
                    #expect(try await site.service.attempts(id, in: .someone).isEmpty)
                }
            }
        }
    }
}
