import DriveModel
import Foundation

extension WireSample {
    private static func task(optional: Bool) -> TaskSummary {
        TaskSummary(
            id: id, taskId: "t", type: .custom, kind: optional ? "k" : nil, name: "n", description: optional ? "d" : nil,
            status: .inProgress,
            requested: optional ? .pause : nil, accountId: id, priority: 1, progress: 50, statusMessage: optional ? "m" : nil,
            parameters: ["a": 1], results: [:], errorCode: optional ? "E" : nil, errorMessage: optional ? "e" : nil, attempt: 1,
            maxAttempts: 3, estimatedDurationSeconds: optional ? 1 : nil, runAt: optional ? time : nil, expiresAt: optional ? time : nil,
            waitsFor: 0,
            batchId: optional ? "b" : nil, uniqueKey: optional ? "u" : nil, parentTaskId: optional ? "p" : nil, createdAt: time,
            updatedAt: time, lastActivity: time, startedAt: optional ? time : nil, completedAt: optional ? time : nil,
            deadAt: optional ? time : nil)
    }

    private static let request = CreateTaskRequest(
        type: .custom, kind: "k", name: "n", description: "d", priority: 1, parameters: [:], runAt: time, expiresAt: time, dependsOn: ["t"],
        uniqueKey: "u",
        maxAttempts: 1)

    private static func attempt(startedAt: Timestamp?) -> TaskAttempt {
        TaskAttempt(attempt: 1, outcome: .lost, errorCode: "E", errorMessage: "e", worker: "w", startedAt: startedAt, endedAt: time)
    }

    private static func batch(completedAt: Timestamp?) -> TaskBatch {
        TaskBatch(
            batchId: "b", name: "n", accountId: id, totalTasks: 1, completedTasks: 1, failedTasks: 0, cancelledTasks: 0, progress: 100,
            createdAt: time, completedAt: completedAt)
    }

    private static func schedule(optional: Bool) -> TaskSchedule {
        TaskSchedule(
            scheduleId: "s", accountId: id, cron: "@daily", task: request, nextRunAt: time, lastRunAt: optional ? time : nil,
            lastTaskId: optional ? "t" : nil)
    }

    private static func lease(checkpoint: JSONValue?) -> TaskLease {
        TaskLease(leaseId: "l", expiresInSeconds: 30, heartbeatSeconds: 10, task: task(optional: true), checkpoint: checkpoint)
    }

    static let tasks = [
        WireSample("TaskSummary", full: [task(optional: true)], empty: [task(optional: false)]),
        WireSample("CreateTaskRequest", full: [request], empty: [CreateTaskRequest(type: .fileMove)]),
        WireSample("TaskAttempt", full: [attempt(startedAt: time)], empty: [attempt(startedAt: nil)]),
        WireSample(
            "TaskItem", full: [TaskItem(itemId: "f", outcome: .failed, code: "C", message: "m")],
            empty: [TaskItem(itemId: "f", outcome: .succeeded)]),
        WireSample(
            "TaskStatistics",
            full: [
                TaskStatistics(
                    totalTasks: 1, pendingTasks: 0, inProgressTasks: 0, pausedTasks: 0, completedTasks: 1, failedTasks: 0,
                    cancelledTasks: 0,
                    expiredTasks: 0, deadLetters: 0, averageProgress: 100, byType: ["Custom": 1], recentActivity: [task(optional: true)])
            ]),
        WireSample("TaskBatch", full: [batch(completedAt: time)], empty: [batch(completedAt: nil)]),
        WireSample("TaskSchedule", full: [schedule(optional: true)], empty: [schedule(optional: false)]),
        WireSample("TaskQueueState", full: [TaskQueueState(queue: "q", type: .custom, pending: 1, scheduled: 0, running: 0)]),
        WireSample("TaskLease", full: [lease(checkpoint: 1)], empty: [lease(checkpoint: nil)]),
    ]
}
