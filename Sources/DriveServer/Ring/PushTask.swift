import DriveEvents
import DriveModel
import DriveTasks
import Foundation
import Logging

/// One notification to one device, as a task of the server's own: the engine tries it again, and keeps what did not get through as a
/// dead letter with its reason. One to the RingService of another program is a ``GatewayPushTask``.
struct PushTask: TaskHandler {
    static let kind = "drive.push"
    /// With the waits between them, some four hours.
    static let attempts = 14
    /// Lanes that the accounts are spread over. Not one for each: a claim reads all lanes in which something waits.
    static let lanes: UInt8 = 64

    let directory: RingDirectory
    let providers: PushProviders
    let alarm: PushAlarm

    var type: TaskType { .custom }
    var kind: String? { Self.kind }
    /// The server's: a worker apart need not know the providers' keys.
    var queue: String { TaskQueues.server }
    var policy: TaskPolicy { Self.policy }

    static let policy = TaskPolicy(
        retry: RetryPolicy(maximumAttempts: attempts, baseDelay: .seconds(5), maximumDelay: .seconds(3600)),
        stallAfter: .seconds(120), maximumRunning: 8)

    /// A task for a push; it commits with the caller's transaction.
    static func task(_ push: RingPush, now: Timestamp) throws -> NewTask {
        try NewTask(
            type: .custom, kind: push.target == .gateway ? GatewayPushTask.kind : kind, queue: TaskQueues.server,
            name: "Push a notification", accountId: TaskEngine.systemAccount, parameters: push.parameters, poolId: lane(of: push.account),
            expiresAt: now + max(.seconds(60), push.options.timeToLive), maximumAttempts: attempts)
    }

    /// Stands where other tasks name their storage pool: the lanes of pushes take turns, so that whose push service answers slowly,
    /// or who has many devices, is not before all others; and the limit per pool leaves the others some of the places.
    static func lane(of account: UUID) -> UUID {
        let number = withUnsafeBytes(of: account.uuid) { $0.reduce(0, ^) } % lanes
        // Of version 8 (RFC 9562 section 5.8), which no pool's id is.
        return UUID(uuid: (0x64, 0x72, 0x69, 0x76, 0x65, 0, 0x80, 0, 0x80, 0, 0x70, 0x75, 0x73, 0x68, 0, number))
    }

    func plan(_ parameters: [String: JSONValue], by caller: Caller) async throws -> TaskPlan {
        TaskPlan(name: "Push a notification", parameters: parameters)
    }

    func run(_ task: any TaskContext) async throws -> [String: JSONValue] {
        guard let push = RingPush(parameters: task.parameters), case .device(let id) = push.target else { throw Self.invalid }
        let found: ReachableDevice?
        do {
            found = try await directory.reachable(id)
        } catch let failure as SecretSeal.Failure {
            alarm.raise("devices", "a device's token cannot be read: \(failure)")
            await note(task) { try await directory.noteFailure(id, reason: RingDirectory.unreadable) }
            throw TaskFailure(code: "PUSH_TOKEN_UNREADABLE", message: "The device's token cannot be read.", isRetryable: false)
        }
        // Removed meanwhile, which is what its owner wanted.
        guard let found, found.account == push.account else { return Self.removed }
        let outcome = await providers.send(push.notification, to: found.device, options: push.options)
        switch outcome {
        case .delivered:
            // It is delivered, whether that can be noted or not: a repetition would show it twice.
            await note(task) { try await directory.noteSuccess(id) }
            return Self.delivered
        case .unregistered(let since):
            // Whoever registered it again since it was looked up has it.
            let isRemoved = try await directory.removeUnregistered(id, since: since ?? found.registeredAt)
            task.logger.info("a device is registered no more", metadata: ["device": "\(found.device)", "removed": "\(isRemoved)"])
            return ["outcome": "unregistered"]
        case .retry(_, let reason):
            // An end that was asked for costs no attempt.
            try task.checkInterruption()
            await note(task) { try await directory.noteFailure(id, reason: Self.shown(reason, of: found.device)) }
        case .refused(let reason), .credentials(let reason):
            await note(task) { try await directory.noteFailure(id, reason: Self.shown(reason, of: found.device)) }
            // A browser's endpoint is whatever its subscriber says, so its no is his to see, and no dead letter of the operator's. From
            // the others it means that something is to be mended.
            if found.device.platform == .webPush { return ["outcome": "refused", "reason": .string(reason)] }
            if case .credentials = outcome {
                alarm.raise(found.device.platform.rawValue, "the push service does not accept our credentials: \(reason)")
            }
        }
        throw Self.failure(outcome, of: "push service")
    }

    /// What the device's owner reads. Of an address that he chose himself he does not learn why there is no connection: the reasons would
    /// tell him what stands in our network.
    private static func shown(_ reason: String, of device: PushDevice) -> String {
        let isOfConnection = ["address-refused", "timed-out", "unreachable"].contains(reason)
        return device.platform == .webPush && isOfConnection ? "no-connection" : reason
    }

    // MARK: Parts

    static let delivered: [String: JSONValue] = ["outcome": "delivered"]
    static let removed: [String: JSONValue] = ["outcome": "removed"]
    static let invalid = TaskFailure(code: "PUSH_INVALID", message: "The parameters are no notification.", isRetryable: false)

    /// What the engine makes of an outcome that is no delivery.
    static func failure(_ outcome: PushOutcome, of service: String) -> TaskFailure {
        switch outcome {
        case .retry(let after, let reason):
            TaskFailure(
                code: "PUSH_UNAVAILABLE", message: "The \(service) did not take it: \(reason).", isRetryable: true, retryAfter: after)
        case .credentials(let reason):
            TaskFailure(
                code: "PUSH_CREDENTIALS", message: "The \(service) does not accept our credentials: \(reason).", isRetryable: false)
        case .refused(let reason):
            TaskFailure(code: "PUSH_REFUSED", message: "The \(service) refused it: \(reason).", isRetryable: false)
        case .delivered, .unregistered:
            TaskFailure(code: "PUSH_REFUSED", message: "The \(service) gave no reason.", isRetryable: false)
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
