import EngineTestSupport
import Foundation
import Testing

@testable import DriveServer

/// The runner with shell scripts for the mail program.
@Suite(.timeLimit(.minutes(1))) struct SendmailRunnerTests {
    private struct Site {
        let folder: String
        var program: String { folder + "/sendmail" }

        /// Makes the program, which finds its folder as `$here`. Another process writes it: where one of ours that is just being
        /// started holds it open for writing, it could not be run.
        init(_ folder: String, _ script: String) throws {
            self.folder = folder
            let text = "#!/bin/sh\nhere=$(dirname \"$0\")\n\(script)\n"
            try Data(text.utf8).write(to: URL(filePath: folder + "/script"))
            let install = Process()
            install.executableURL = URL(filePath: "/usr/bin/env")
            install.arguments = ["install", "-m", "755", folder + "/script", program]
            try install.run()
            install.waitUntilExit()
            try #require(install.terminationStatus == 0)
        }

        func send(body: String = "x", environment: [String: String] = [:], patience: Duration = .seconds(50)) async throws -> MailOutcome {
            let runner = SendmailRunner(program: program, environment: environment, patience: patience)
            return await runner.send(try MailMessageTests.message(body: body))
        }

        func written(_ name: String) -> String? {
            FileManager.default.contents(atPath: "\(folder)/\(name)").map { String(decoding: $0, as: UTF8.self) }
        }
    }

    /// - Parameter script: what the program does.
    private func with(_ script: String, _ body: (Site) async throws -> Void) async throws {
        try await Engine.withTemporaryFolder { try await body(Site($0, script)) }
    }

    /// What became of a mail to a program that does this.
    private func outcome(_ script: String, body: String = "x", patience: Duration = .seconds(50)) async throws -> MailOutcome {
        var outcome: MailOutcome?
        try await with(script) { outcome = try await $0.send(body: body, patience: patience) }
        return try #require(outcome)
    }

    /// More than a pipe holds.
    private static let long = String(repeating: "0123456789\n", count: 50_000)

    @Test func theMessageArrivesWithItsArguments() async throws {
        try await with(#"cat > "$here/input"; printf '%s\n' "$@" > "$here/arguments"; pwd > "$here/pwd""#) { site in
            let outcome = try await site.send(body: Self.long)
            #expect(outcome == .sent)
            #expect(site.written("arguments") == "-i\n-f\ndrive@example.org\n--\nb@example.com\n")
            // Programs of the system take its lines.
            #expect(site.written("input") == (try MailMessageTests.message(body: Self.long).text.replacing("\r\n", with: "\n")))
            #expect(site.written("pwd") == "/\n")
        }
    }

    @Test func nothingOfOursIsInherited() async throws {
        let script = #"""
            cat > /dev/null
            env > "$here/environment"
            ls -l /proc/$$/fd > "$here/descriptors"
            """#
        try await with(script) { site in
            let leak = open(site.folder + "/script", O_RDONLY)
            try #require(leak >= 0)
            defer { close(leak) }
            let environment = ["HOME": "/home/drive", "USER": "drive", "DATABASE_URL": "secret", "RING_TOKEN": "secret", "PATH": "/secret"]
            #expect(try await site.send(environment: environment) == .sent)
            let seen = try #require(site.written("environment"))
            #expect(!seen.contains("secret") && seen.contains("HOME=/home/drive\n") && seen.contains("USER=drive\n"))
            let descriptors = try #require(site.written("descriptors"))
            #expect(descriptors.contains("/dev/null") && !descriptors.contains("/script"))
            #expect(!descriptors.contains("socket:") && !descriptors.contains("anon_inode"))
        }
    }

    /// Not a shell, which would set its signals itself.
    @Test func signalsAreAsAProgramExpectsThem() async throws {
        try await Engine.withTemporaryFolder { folder in
            let status = try Self.statusOfAChild(folder + "/status")
            for name in ["SigBlk", "SigIgn"] {
                let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("\(name):") })
                let signals = try #require(UInt64(line.suffix(16), radix: 16))
                // The C library keeps two behind the 31st to itself.
                #expect(signals & 0x7FFF_FFFF == 0, "\(line)")
            }
        }
    }

    /// What the system says of a child that is started while signals are blocked and ignored.
    private static func statusOfAChild(_ path: String) throws -> String {
        var blocked = sigset_t()
        var before = sigset_t()
        sigemptyset(&blocked)
        sigaddset(&blocked, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &blocked, &before)
        let handler = signal(SIGUSR2, SIG_IGN)
        defer {
            signal(SIGUSR2, handler)
            pthread_sigmask(SIG_SETMASK, &before, nil)
        }
        let child = try ChildProcess(["/usr/bin/env", "cp", "/proc/self/status", path], environment: ["PATH": "/usr/bin:/bin"])
        let ending = child.finish(giving: [], by: .now + .seconds(30), keeping: 100) { false }
        try #require(ending == ChildProcess.Ending(status: .exited(0), interruption: nil, errors: []))
        return String(decoding: try #require(FileManager.default.contents(atPath: path)), as: UTF8.self)
    }

    @Test(arguments: [
        (0, MailOutcome.sent),
        (64, .refused(reason: "exit code 64 EX_USAGE: No such user")),
        (65, .refused(reason: "exit code 65 EX_DATAERR: No such user")),
        (67, .refused(reason: "exit code 67 EX_NOUSER: No such user")),
        (75, .retry(reason: "exit code 75 EX_TEMPFAIL: No such user")),
        (69, .retry(reason: "exit code 69 EX_UNAVAILABLE: No such user")),
        (74, .retry(reason: "exit code 74 EX_IOERR: No such user")),
        (78, .setup(reason: "exit code 78 EX_CONFIG: No such user")),
        (1, .retry(reason: "exit code 1: No such user")),
        (79, .retry(reason: "exit code 79: No such user")),
        (127, .retry(reason: "exit code 127: No such user")),
    ])
    func exitCodes(_ code: Int, _ expected: MailOutcome) async throws {
        #expect(try await outcome("cat > /dev/null; echo 'No such user' >&2; exit \(code)") == expected)
    }

    @Test func aProgramThatIsKilledIsTriedAgain() async throws {
        #expect(try await outcome("kill -9 $$") == .retry(reason: "ended by signal 9"))
    }

    /// Neither ends us by SIGPIPE nor waits for ever; what it says at its end counts.
    @Test(arguments: [(0, MailOutcome.sent), (67, .refused(reason: "exit code 67 EX_NOUSER"))])
    func aProgramThatDoesNotRead(_ code: Int, _ expected: MailOutcome) async throws {
        #expect(try await outcome("exec 0<&-; exit \(code)", body: Self.long) == expected)
        // It goes on after it closed its input.
        #expect(try await outcome("exec 0<&-; sleep 0.2; exit \(code)", body: Self.long) == expected)
    }

    @Test(arguments: [
        "exec sleep 600", "cat > /dev/null; exec 2>&-; exec sleep 600", "trap '' TERM INT HUP; while :; do sleep 600; done",
        "while :; do echo; done >&2",
    ])
    func aProgramThatHangsIsKilled(_ script: String) async throws {
        let outcome = try await outcome(script, body: Self.long, patience: .milliseconds(300))
        #expect(outcome == .retry(reason: "it took too long and was ended"))
    }

    @Test func itsChildrenGoWithIt() async throws {
        try await with(#"sleep 600 & echo $! > "$here/child.new"; mv "$here/child.new" "$here/child"; wait"#) { site in
            let sending = Task { try await site.send() }
            try await eventually { site.written("child") != nil }
            let child = try #require(site.written("child")?.split(separator: "\n").first)
            #expect(Self.isRunning(child))
            sending.cancel()
            #expect(try await sending.value == .retry(reason: "it was interrupted"))
            try await eventually { !Self.isRunning(child) }
        }
    }

    private static func isRunning(_ id: some StringProtocol) -> Bool {
        guard let status = FileManager.default.contents(atPath: "/proc/\(id)/status") else { return false }
        return !String(decoding: status, as: UTF8.self).contains("State:\tZ")
    }

    /// As those do that deliver in the background: what they leave behind does not hold us up, and lives on.
    @Test func whatItLeavesInTheBackgroundIsNotWaitedFor() async throws {
        let script = #"cat > /dev/null; (until test -e "$here/go"; do sleep 0.05; done; echo done > "$here/late") & exit 0"#
        try await with(script) { site in
            #expect(try await site.send() == .sent)
            #expect(site.written("late") == nil)
            try Data().write(to: URL(filePath: site.folder + "/go"))
            try await eventually { site.written("late") == "done\n" }
        }
    }

    @Test func onlyTheBeginningOfItsWordsIsKept() async throws {
        // Before it reads: a pipe that nobody empties would stop it.
        let outcome = try await outcome("head -c 1000000 /dev/zero | tr '\\0' e >&2; cat > /dev/null; exit 70", body: Self.long)
        #expect(outcome == .refused(reason: "exit code 70 EX_SOFTWARE: " + String(repeating: "e", count: SendmailRunner.keptWords)))
    }

    @Test func itsWordsAreCleaned() async throws {
        let outcome = try await outcome(#"cat > /dev/null; printf '\n  a\033[31mb\000\r\n\n\303\251\377 \n' >&2; exit 65"#)
        #expect(outcome == .refused(reason: "exit code 65 EX_DATAERR: a\\u{1b}[31mb\\u{0}; é\u{FFFD}"))
    }

    @Test func aProgramThatCannotBeStartedIsAMatterOfSetup() async throws {
        try await with("exit 0") { site in
            let message = try MailMessageTests.message()
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: site.program)
            for program in [site.folder + "/none", site.program, site.folder, site.folder + "/script/x", "sendmail", ""] {
                guard case .setup = await SendmailRunner(program: program, environment: [:]).send(message) else {
                    Issue.record("\(program) was started")
                    continue
                }
            }
            // Its interpreter is missing, and it is no program.
            for text in ["#!/no/such/interpreter\n", "text"] {
                try await with("") { other in
                    try FileManager.default.removeItem(atPath: other.program)
                    try Data(text.utf8).write(to: URL(filePath: other.program))
                    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: other.program)
                    // Busy is what it may be for the moment that another test starts a process.
                    var outcome = try await other.send()
                    while case .retry(let reason) = outcome, reason.contains("busy") { outcome = try await other.send() }
                    guard case .setup = outcome else {
                        Issue.record("\(text) was started: \(outcome)")
                        return
                    }
                }
            }
        }
    }

    @Test func nothingStaysOpen() async throws {
        try await with("cat > /dev/null") { site in
            func pipes() throws -> Int {
                try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count {
                    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)"))?.hasPrefix("pipe:") ?? false
                }
            }
            let before = try pipes()
            for _ in 0..<20 { #expect(try await site.send() == .sent) }
            // Other tests have some too, but not twice for each of these.
            #expect(try pipes() < before + 20)
        }
    }
}
