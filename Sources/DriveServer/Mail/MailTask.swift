import DriveEvents
import DriveModel
import DriveTasks
import Foundation

/// One mail, as a task of the server's own: the engine tries it again, with the same Message-ID each time, and keeps what was not
/// taken as a dead letter with its reason.
struct MailTask: TaskHandler {
    static let kind = "drive.mail"
    /// What was not taken by then is of no use.
    static let lifetime = Duration.seconds(86_400)

    let transport: any MailTransport
    let alarm: PushAlarm

    var type: TaskType { .custom }
    var kind: String? { Self.kind }
    /// The server's: a worker apart need not have the mail program.
    var queue: String { TaskQueues.server }
    var policy: TaskPolicy {
        TaskPolicy(
            retry: RetryPolicy(maximumAttempts: PushTask.attempts, baseDelay: .seconds(5), maximumDelay: .seconds(3600)),
            stallAfter: SendmailRunner.patience * 2, maximumRunning: 4)
    }

    /// A task for a mail; it commits with the caller's transaction.
    static func task(_ message: MailMessage, now: Timestamp) throws -> NewTask {
        try NewTask(
            type: .custom, kind: kind, queue: TaskQueues.server, name: "Send a mail", accountId: TaskEngine.systemAccount,
            parameters: message.parameters, expiresAt: now + lifetime, maximumAttempts: PushTask.attempts)
    }

    func plan(_ parameters: [String: JSONValue], by caller: Caller) async throws -> TaskPlan {
        TaskPlan(name: "Send a mail", parameters: parameters)
    }

    func run(_ task: any TaskContext) async throws -> [String: JSONValue] {
        guard let message = MailMessage(parameters: task.parameters) else {
            throw TaskFailure(code: "MAIL_INVALID", message: "The parameters are no mail.", isRetryable: false)
        }
        switch await transport.send(message) {
        case .sent: return ["outcome": "sent", "messageId": .string(message.messageId)]
        case .retry(let reason):
            // An end that was asked for costs no attempt.
            try task.checkInterruption()
            throw TaskFailure(code: "MAIL_UNAVAILABLE", message: "The mail program did not take it: \(reason).", isRetryable: true)
        case .refused(let reason):
            throw TaskFailure(code: "MAIL_REFUSED", message: "The mail program refused it: \(reason).", isRetryable: false)
        case .setup(let reason):
            alarm.raise("mail", "mail cannot be sent: \(reason)")
            throw TaskFailure(code: "MAIL_SETUP", message: "Mail cannot be sent: \(reason).", isRetryable: false)
        }
    }
}
