import DriveDatabase
import DriveEvents
import DriveModel
import DriveRing
import DriveTasks
import Foundation
import Logging

/// Takes mails of other programs, each as a task.
struct MailOffice: Sendable {
    let handler: MailTask
    private let engine: TaskEngine
    private let from: MailAddress
    private let surroundings: Surroundings

    /// Nil where the server was given no way to send mail.
    ///
    /// - Throws: `SecretError` where the program is none.
    init?(_ configuration: DriveConfiguration, engine: TaskEngine, surroundings: Surroundings, logger: Logger) throws {
        guard let program = configuration.ring.sendmail,
            let from = configuration.ring.mailFrom.flatMap({ try? MailAddress($0, field: .fromAddress) })
        else { return nil }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: program, isDirectory: &isFolder), !isFolder.boolValue,
            FileManager.default.isExecutableFile(atPath: program)
        else { throw SecretError(message: "ring.sendmail: \(program) is not there, or no program") }
        self.engine = engine
        self.from = from
        self.surroundings = surroundings
        handler = MailTask(transport: SendmailRunner(program: program), alarm: PushAlarm(logger: logger))
    }

    /// - Throws: `INVALID_REQUEST` naming the field and the rule; the database's error.
    func send(_ mail: RingMail, for caller: RingCaller, audit: RingAudit) async throws {
        let now = surroundings.now()
        let message: MailMessage
        do {
            message = try MailMessage(
                id: surroundings.newUUID(), from: from, toName: mail.toName, toAddress: mail.toAddress, subject: mail.subject,
                body: mail.body, date: now)
        } catch {
            throw DriveError(
                .invalidRequest, error.message, details: ["rule": .string(error.rule.rawValue), "field": .string(error.field.rawValue)])
        }
        let task = try MailTask.task(message, now: now)
        let domain = message.to.domain
        try await engine.database.write { [engine] sql in
            let enqueued = try engine.enqueue(task, in: sql)
            // Whom it goes to is in the task, for as long as that is kept.
            try audit.append("mail.send", on: "task", id: enqueued.taskId, by: caller, ["domain": .string(domain)], in: sql)
        }
    }
}
