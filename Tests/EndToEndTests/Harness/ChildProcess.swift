import Foundation
import Synchronization

/// How a process ended.
enum ExitReason: Equatable, Sendable, CustomStringConvertible {
    case exited(Int32)
    case signalled(Int32)

    init(waitStatus: Int32) {
        let signal = waitStatus & 0x7F
        self = signal == 0 ? .exited(waitStatus >> 8 & 0xFF) : .signalled(signal)
    }

    var description: String {
        switch self {
        case .exited(let code): "exit code \(code)"
        case .signalled(let signal): "signal \(signal)"
        }
    }
}

/// A child process in a group of its own, whose end is awaited and never polled.
final class ChildProcess: Sendable {
    let pid: pid_t
    private let exit = Box<ExitReason>()

    /// Starts a program.
    /// - Parameters:
    ///   - command: the program, looked up in PATH, and its arguments.
    ///   - environment: all of it; nothing is inherited.
    ///   - input: the descriptor that becomes stdin; nil: empty.
    ///   - output: the descriptor that becomes stdout; the caller closes its own.
    ///   - errorPath: a file that stderr is appended to.
    init(_ command: [String], environment: [String: String], input: Int32? = nil, output: Int32, errorPath: String) throws {
        let child = try Spawn.start(command, environment: environment, input: input, output: output, errorPath: errorPath)
        pid = child
        Reaper.shared.watch(child)
        let exit = exit
        let thread = Thread {
            var status: Int32 = 0
            while waitpid(child, &status, 0) < 0 && errno == EINTR {}
            Reaper.shared.forget(child)
            exit.fill(ExitReason(waitStatus: status))
        }
        thread.stackSize = 256 << 10
        thread.start()
    }

    /// How it ended; nil while it runs.
    var ended: ExitReason? { exit.current }

    /// Waits for the end. Throws `TimedOut`.
    func wait(atMost limit: Duration) async throws -> ExitReason {
        let exit = exit
        return try await within(limit, "the end of process \(pid)") { try await exit.value() }
    }

    /// Sends a signal, unless the process has ended and its number may be another's.
    func send(_ signal: Int32) {
        if ended == nil { kill(pid, signal) }
    }

    /// Kills it with its group.
    func killGroup() {
        if ended == nil { kill(-pid, SIGKILL) }
    }
}
