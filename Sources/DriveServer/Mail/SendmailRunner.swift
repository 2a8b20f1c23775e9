import Foundation
import Synchronization

/// Hands each mail to a program that takes it as sendmail does: the message on its standard input, sender and recipient as
/// arguments, the outcome as an exit code of sysexits.h.
struct SendmailRunner: MailTransport {
    /// How long a program may take before it is killed.
    static let patience = Duration.seconds(60)
    /// Bytes of what it writes to standard error that are kept as the reason.
    static let keptWords = 2048
    /// What a program may need to find its own settings. Nothing else is handed on: our own secrets are in the environment.
    private static let handedOn = ["HOME", "LOGNAME", "USER"]

    private let program: String
    private let environment: [String: String]
    private let patience: Duration

    /// - Parameters:
    ///   - program: an absolute path.
    ///   - environment: the server's own; the program sees three names of it.
    init(
        program: String, environment: [String: String] = ProcessInfo.processInfo.environment, patience: Duration = Self.patience
    ) {
        self.program = program
        self.environment = environment.filter { Self.handedOn.contains($0.key) }.merging([
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
        ]) { _, own in own }
        self.patience = patience
    }

    private final class Flag: Sendable {
        let isUp = Atomic(false)
    }

    func send(_ message: MailMessage) async -> MailOutcome {
        let cancelled = Flag()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // Its own, as it blocks, and as signals are blocked on it.
                let thread = Thread { continuation.resume(returning: hand(message, cancelled)) }
                thread.name = "drive-mail"
                thread.start()
            }
        } onCancel: {
            cancelled.isUp.store(true, ordering: .relaxed)
        }
    }

    /// Blocks; ends the thread's interest in SIGPIPE.
    private func hand(_ message: MailMessage, _ cancelled: Flag) -> MailOutcome {
        guard !cancelled.isUp.load(ordering: .relaxed) else { return .retry(reason: "it was interrupted") }
        // A program that reads no more is an error of write(2), and not our end.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)

        let deadline = ContinuousClock.now + patience
        // Such programs take lines of the system; the encoded message has no other CR than those of its line ends.
        let input = message.text.utf8.filter { $0 != 0x0D }
        do throws(ChildProcess.Failure) {
            let child = try ChildProcess(
                [program, "-i", "-f", message.from.description, "--", message.to.description], environment: environment)
            let ending = child.finish(giving: input, by: deadline, keeping: Self.keptWords) { cancelled.isUp.load(ordering: .relaxed) }
            return MailOutcome(ending, words: Self.cleaned(ending.errors))
        } catch {
            return Self.outcome(error, of: program)
        }
    }

    /// What it means that the program cannot be started.
    private static func outcome(_ failure: ChildProcess.Failure, of program: String) -> MailOutcome {
        let reason = "\(program) cannot be started: \(failure.message)"
        switch failure.code {
        // The machine is short of something, or the program is being replaced.
        case EAGAIN, ENOMEM, EMFILE, ENFILE, ETXTBSY, EIO, EINTR: return .retry(reason: reason)
        default: return .setup(reason: reason)
        }
    }

    /// A program's words on one line, with nothing that a log or a terminal would obey.
    static func cleaned(_ bytes: [UInt8]) -> String {
        let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
        return LogEscaping.visible(lines.map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }.joined(separator: "; "))
    }
}
