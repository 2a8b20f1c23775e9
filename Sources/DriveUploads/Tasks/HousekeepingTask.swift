import DriveEvents
import DriveModel
import DriveTasks
import Foundation

/// One step of the housekeeping as a recurring task of the server's own: it is seen in the list, tried again, and run once at a
/// time over all servers.
public struct HousekeepingTask: TaskHandler {
    private let housekeeping: Housekeeping
    private let step: Housekeeping.Step

    public var type: TaskType { .custom }
    public var kind: String? { "drive." + step.rawValue }
    /// Staging folders are the server's.
    public var queue: String { TaskQueues.server }
    public var policy: TaskPolicy {
        // The timetable brings the next one anyway.
        TaskPolicy(retry: RetryPolicy(maximumAttempts: 2, baseDelay: .seconds(5)), stallAfter: .seconds(3600))
    }

    public func plan(_ parameters: [String: JSONValue], by caller: Caller) async throws -> TaskPlan {
        TaskPlan(name: step.title, parameters: [:])
    }

    public func run(_ task: any TaskContext) async throws -> [String: JSONValue] {
        ["count": .integer(Int64(try await housekeeping.run(step)))]
    }

    /// The handlers of all steps.
    public static func handlers(_ housekeeping: Housekeeping) -> [any TaskHandler] {
        Housekeeping.Step.allCases.map { HousekeepingTask(housekeeping: housekeeping, step: $0) }
    }

    /// Puts the steps' timetables on record.
    public static func schedule(in engine: TaskEngine, every interval: Duration) async throws {
        let cron = try CronExpression("@every \(max(1, Int(interval.inSeconds)))s")
        try await engine.keep(
            Housekeeping.Step.allCases.map { step in
                TaskEngine.FixedSchedule(
                    scheduleId: "drive." + step.rawValue, cron: cron,
                    task: CreateTaskRequest(type: .custom, kind: "drive." + step.rawValue, name: step.title))
            })
    }
}
