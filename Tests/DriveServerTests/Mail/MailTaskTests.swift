import DriveDatabase
import DriveModel
import DriveTasks
import EngineTestSupport
import Logging
import Foundation
import Synchronization
import Testing

@testable import DriveServer

/// What a mail task makes of what the mail program said.
@Suite(.timeLimit(.minutes(1))) struct MailTaskTests {
    private final class Transport: MailTransport {
        let outcome: MailOutcome
        let sent = Mutex<[MailMessage]>([])

        init(_ outcome: MailOutcome) { self.outcome = outcome }

        func send(_ message: MailMessage) async -> MailOutcome {
            sent.withLock { $0.append(message) }
            return outcome
        }
    }

    private let log = LogRecorder(from: .error)

    private func task(_ transport: Transport) -> MailTask {
        let log = log
        return MailTask(transport: transport, alarm: PushAlarm(logger: log.logger))
    }

    private func failure(_ outcome: MailOutcome) async throws -> TaskFailure? {
        do {
            _ = try await task(Transport(outcome)).run(FakeTaskContext(parameters: try MailMessageTests.message().parameters))
            return nil
        } catch let failure as TaskFailure {
            return failure
        }
    }

    @Test func everyAttemptSendsTheSameMessage() async throws {
        let message = try MailMessageTests.message(name: "Zoë")
        let new = try MailTask.task(message, now: Timestamp(seconds: 1_800_000_000))
        #expect(new.kind == "drive.mail" && new.queue == TaskQueues.server && new.accountId == TaskEngine.systemAccount)
        #expect(new.expiresAt == Timestamp(seconds: 1_800_086_400) && new.maximumAttempts == PushTask.attempts)
        let parameters = try DriveJSON.value([String: JSONValue].self, from: new.parameters)
        let transport = Transport(.sent)
        for attempt in 1...2 {
            let results = try await task(transport).run(FakeTaskContext(parameters: parameters, attempt: attempt))
            #expect(results == ["outcome": "sent", "messageId": "<6f1b0e9c-0d3c-4f6e-9c55-3a4b2d1e0f00@example.org>"])
        }
        #expect(transport.sent.withLock { $0.map(\.text) } == [message.text, message.text])
    }

    @Test func whatMayPassIsTriedAgainAndTheRestIsNot() async throws {
        let later = try #require(try await failure(.retry(reason: "exit code 75")))
        #expect(later.isRetryable && later.code == "MAIL_UNAVAILABLE" && later.message.contains("exit code 75"))
        let refused = try #require(try await failure(.refused(reason: "exit code 67")))
        #expect(!refused.isRetryable && refused.code == "MAIL_REFUSED" && refused.message.contains("exit code 67"))
        #expect(log.count == 0)
    }

    /// One line in the log, however many mails there are, and no attempt more of each.
    @Test func aMissingProgramIsAnAlertAndNoStorm() async throws {
        let task = task(Transport(.setup(reason: "No such file or directory")))
        for _ in 0..<5 {
            do {
                _ = try await task.run(FakeTaskContext(parameters: try MailMessageTests.message().parameters))
                Issue.record("it was sent")
            } catch let failure as TaskFailure {
                #expect(!failure.isRetryable && failure.code == "MAIL_SETUP")
            }
        }
        let lines = log.texts
        #expect(lines.count == 1 && lines.first?.contains("No such file") == true)
    }

    @Test func anInterruptionCostsNoAttempt() async throws {
        let parameters = try MailMessageTests.message().parameters
        await #expect(throws: TaskInterruption.stopped) {
            _ = try await task(Transport(.retry(reason: "it was interrupted"))).run(
                FakeTaskContext(parameters: parameters, interruption: .stopped))
        }
        // It went out all the same.
        let results = try await task(Transport(.sent)).run(FakeTaskContext(parameters: parameters, interruption: .stopped))
        #expect(results["outcome"] == "sent")
    }

    @Test func brokenParametersFailForGood() async throws {
        let transport = Transport(.sent)
        do {
            _ = try await task(transport).run(FakeTaskContext(parameters: [:]))
            Issue.record("it was taken")
        } catch let failure as TaskFailure {
            #expect(!failure.isRetryable && failure.code == "MAIL_INVALID")
        }
        #expect(transport.sent.withLock { $0.isEmpty })
    }
}
