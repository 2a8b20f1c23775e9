import DriveEvents
import DriveModel
import DriveTasks
import Foundation

/// One notification to the RingService of another program, as a task of the server's own.
///
/// Of a kind apart from ``PushTask``, which servers know that have such a service: what one without it made or finds waits for them, and
/// where there are none any more it ends with its day.
struct GatewayPushTask: TaskHandler {
    static let kind = "drive.push.gateway"

    let gateway: any RingGateway
    /// How an account's person is called to the gateway; nil for an account that is gone.
    let users: @Sendable (UUID) async throws -> String?
    let alarm: PushAlarm

    var type: TaskType { .custom }
    var kind: String? { Self.kind }
    var queue: String { TaskQueues.server }
    var policy: TaskPolicy { PushTask.policy }

    func plan(_ parameters: [String: JSONValue], by caller: Caller) async throws -> TaskPlan {
        TaskPlan(name: "Push a notification", parameters: parameters)
    }

    func run(_ task: any TaskContext) async throws -> [String: JSONValue] {
        guard let push = RingPush(parameters: task.parameters), push.target == .gateway else { throw PushTask.invalid }
        guard let user = try await users(push.account) else { return PushTask.removed }
        let outcome = await gateway.notify(push.notification, user: user)
        switch outcome {
        case .delivered: return PushTask.delivered
        case .unregistered: return ["outcome": "unknown person"]
        // An end that was asked for costs no attempt.
        case .retry: try task.checkInterruption()
        case .refused: break
        case .credentials(let reason):
            alarm.raise("gateway", "the RingService does not accept our credentials: \(reason)")
            // As for the events: what is mended within the hours of the attempts lets nothing be lost.
            var failure = PushTask.failure(outcome, of: "RingService")
            failure.isRetryable = true
            throw failure
        }
        throw PushTask.failure(outcome, of: "RingService")
    }
}
