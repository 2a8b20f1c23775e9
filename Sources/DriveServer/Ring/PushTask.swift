import DriveEvents
import DriveModel
import DriveTasks
import Foundation
import Logging

/// One notification to one device, as a task of the server's own: the engine tries it again, and keeps what did not get through
/// as a dead letter with its reason.
struct PushTask: TaskHandler {
    static let kind = "drive.push"
    /// With the waits between them, some four hours.
    static let attempts = 14

    let directory: RingDirectory
    let providers: PushProviders
    let alarm: PushAlarm

    var type: TaskType { .custom }
    var kind: String? { Self.kind }
    /// The server's: a worker apart need not know the providers' keys.
    var queue: String { TaskQueues.server }
    var policy: TaskPolicy {
        TaskPolicy(
            retry: RetryPolicy(maximumAttempts: Self.attempts, baseDelay: .seconds(5), maximumDelay: .seconds(3600)),
            stallAfter: .seconds(120), maximumRunning: 8)
    }

    /// A task for a push; it commits with the caller's transaction.
    static func task(_ push: RingPush, now: Timestamp) throws -> NewTask {
        try NewTask(
            type: .custom, kind: kind, queue: TaskQueues.server, name: "Push a notification", accountId: TaskEngine.systemAccount,
            parameters: push.parameters, expiresAt: now + max(.seconds(60), push.options.timeToLive), maximumAttempts: attempts)
    }

    func plan(_ parameters: [String: JSONValue], by caller: Caller) async throws -> TaskPlan {
        TaskPlan(name: "Push a notification", parameters: parameters)
    }

    func run(_ task: any TaskContext) async throws -> [String: JSONValue] {
        guard let push = RingPush(parameters: task.parameters) else {
            throw TaskFailure(code: "PUSH_INVALID", message: "The parameters are no notification.", isRetryable: false)
        }
        let found: ReachableDevice?
        do {
            found = try await directory.reachable(push.device)
        } catch let failure as SecretSeal.Failure {
            alarm.raise("devices", "a device's token cannot be read: \(failure)")
            throw TaskFailure(code: "PUSH_TOKEN_UNREADABLE", message: "The device's token cannot be read.", isRetryable: false)
        }
        // Removed meanwhile, which is what its owner wanted.
        guard let found, found.account == push.account else { return ["outcome": "removed"] }
        let outcome = await providers.send(push.notification, to: found.device, options: push.options)
        return try await settle(outcome, device: found, task)
    }

    private func settle(_ outcome: PushOutcome, device: ReachableDevice, _ task: any TaskContext) async throws -> [String: JSONValue] {
        switch outcome {
        case .delivered:
            // It is delivered, whether that can be noted or not: a repetition would show it twice.
            await note(task) { try await directory.noteSuccess(device.id) }
            return ["outcome": "delivered"]
        case .unregistered(let since):
            let isRemoved = try await directory.removeUnregistered(device.id, since: since)
            task.logger.info("a device is registered no more", metadata: ["device": "\(device.device)", "removed": "\(isRemoved)"])
            return ["outcome": "unregistered"]
        case .retry(let after, let reason):
            // An end that was asked for costs no attempt.
            try task.checkInterruption()
            await note(task) { try await directory.noteFailure(device.id, reason: reason) }
            throw TaskFailure(
                code: "PUSH_UNAVAILABLE", message: "The push service did not take it: \(reason).", isRetryable: true, retryAfter: after)
        case .refused(let reason):
            await note(task) { try await directory.noteFailure(device.id, reason: reason) }
            throw TaskFailure(code: "PUSH_REFUSED", message: "The push service refused it: \(reason).", isRetryable: false)
        case .credentials(let reason):
            await note(task) { try await directory.noteFailure(device.id, reason: reason) }
            // A browser's endpoint is whatever its subscriber says; from the others it means that nothing arrives at all.
            if device.device.platform != .webPush {
                alarm.raise(device.device.platform.rawValue, "the push service does not accept our credentials: \(reason)")
            }
            throw TaskFailure(
                code: "PUSH_CREDENTIALS", message: "The push service does not accept our credentials: \(reason).", isRetryable: false)
        }
    }

    private func note(_ task: any TaskContext, _ work: () async throws -> Void) async {
        do {
            try await work()
        } catch {
            task.logger.debug("what became of a push cannot be noted", metadata: ["error": "\(error)"])
        }
    }
}
