/// What became of one attempt to hand a mail over. Reasons are short texts for logs and dead letters, on one line.
enum MailOutcome: Hashable, Sendable {
    /// The mail system has it.
    case sent
    /// Worth another try.
    case retry(reason: String)
    /// The same mail would be refused again.
    case refused(reason: String)
    /// No mail will go out until an operator mends something.
    case setup(reason: String)
}

/// Hands mail to whatever sends it.
protocol MailTransport: Sendable {
    /// Ends early where the Swift task is cancelled: with `.retry`, unless the mail was taken all the same.
    func send(_ message: MailMessage) async -> MailOutcome
}

extension MailOutcome {
    /// The names of the exit codes 64 to 78 in sysexits.h.
    private static let names = [
        "EX_USAGE", "EX_DATAERR", "EX_NOINPUT", "EX_NOUSER", "EX_NOHOST", "EX_UNAVAILABLE", "EX_SOFTWARE", "EX_OSERR", "EX_OSFILE",
        "EX_CANTCREAT", "EX_IOERR", "EX_TEMPFAIL", "EX_PROTOCOL", "EX_NOPERM", "EX_CONFIG",
    ]

    /// What a mail program's end means.
    ///
    /// The exit code alone decides, not whether the program read its input to the end: what says 0 has taken responsibility, and
    /// a repetition could come twice.
    /// - Parameter words: what it said, cleaned.
    init(_ ending: ChildProcess.Ending, words: String) {
        let words = words.isEmpty ? "" : ": \(words)"
        switch (ending.status, ending.interruption) {
        case (.exited(0), _): self = .sent
        case (_, .timedOut): self = .retry(reason: "it took too long and was ended\(words)")
        case (_, .cancelled): self = .retry(reason: "it was interrupted\(words)")
        case (.exited(let code), nil):
            let name = (64...78).contains(code) ? " \(Self.names[Int(code) - 64])" : ""
            let reason = "exit code \(code)\(name)\(words)"
            self =
                switch code {
                // Of these programs some say EX_UNAVAILABLE, EX_OSERR and EX_IOERR where the network or the queue is away for a while.
                case 69, 71, 74, 75: .retry(reason: reason)
                case 78: .setup(reason: reason)
                case 64..<78: .refused(reason: reason)
                default: .retry(reason: reason)
                }
        case (.signalled(let signal), nil): self = .retry(reason: "ended by signal \(signal)\(words)")
        // To try again would send it again and again.
        case (.lost, nil): self = .setup(reason: "its exit code went to somebody else, as where SIGCHLD is ignored\(words)")
        }
    }
}
