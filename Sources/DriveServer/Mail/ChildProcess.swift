import Foundation

/// A program that is given its standard input and asked for its standard error: in a process group of its own, at `/`, without any
/// other descriptor, signal mask or ignored signal of ours. What it writes to standard output is dropped.
///
/// Everything here blocks, and one thread does all of it: whoever has the value waits for the child, so that its id cannot belong
/// to another process when it is signalled.
struct ChildProcess: ~Copyable {
    /// The system's error number.
    struct Failure: Error, Hashable {
        let code: Int32

        var message: String { String(cString: strerror(code)) }
    }

    enum Status: Hashable, Sendable {
        case exited(Int32)
        case signalled(Int32)
        /// Somebody else waited for the child.
        case lost
    }

    enum Interruption: Hashable, Sendable {
        case timedOut, cancelled
    }

    struct Ending: Hashable, Sendable {
        var status: Status
        /// Why it was killed; nil where it ended by itself.
        var interruption: Interruption?
        /// The first bytes of its standard error.
        var errors: [UInt8]
    }

    let id: pid_t
    /// Ours of the two pipes; -1 where it is closed.
    private var input: Int32
    private var errors: Int32

    /// - Parameters:
    ///   - command: the program's absolute path, and its arguments.
    ///   - environment: all that it sees.
    init(_ command: [String], environment: [String: String]) throws(Failure) {
        let (inputReading, inputWriting) = try ChildSpawn.makePipe()
        let errorsReading: Int32
        let errorsWriting: Int32
        do {
            (errorsReading, errorsWriting) = try ChildSpawn.makePipe()
        } catch {
            close(inputReading)
            close(inputWriting)
            throw error
        }
        defer {
            close(inputReading)
            close(errorsWriting)
        }
        do {
            id = try ChildSpawn.start(command, environment: environment, input: inputReading, errors: errorsWriting)
        } catch {
            close(inputWriting)
            close(errorsReading)
            throw error
        }
        for end in [inputWriting, errorsReading] { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        (input, errors) = (inputWriting, errorsReading)
    }

    deinit {
        if input >= 0 { close(input) }
        if errors >= 0 { close(errors) }
    }

    /// Gives the child its input and waits for its end; then it is reaped. A child that stops reading is given no more.
    ///
    /// The calling thread must have SIGPIPE blocked.
    /// - Parameters:
    ///   - deadline: when its group is killed.
    ///   - keeping: so many bytes of its standard error are kept; the rest is read and dropped.
    ///   - isCancelled: looked at several times a second.
    consuming func finish(
        giving bytes: [UInt8], by deadline: ContinuousClock.Instant, keeping: Int, isCancelled: () -> Bool
    ) -> Ending {
        var ending = Ending(status: .lost, interruption: nil, errors: [])
        var given = 0
        var pause: Int32 = 1
        while !hasEnded {
            let left = deadline - .now
            if isCancelled() { ending.interruption = .cancelled } else if left <= .zero { ending.interruption = .timedOut }
            if ending.interruption != nil {
                // Not reaped yet, so the group is still its own.
                kill(-id, SIGKILL)
                break
            }
            // Its end closes both pipes, but not where a grandchild holds them: so the waits are short.
            let isSilent = input < 0 && errors < 0
            var watched = [pollfd(fd: input, events: Int16(POLLOUT), revents: 0), pollfd(fd: errors, events: Int16(POLLIN), revents: 0)]
            _ = poll(&watched, nfds_t(watched.count), min(isSilent ? pause : 50, Int32(min(1000, left.inMilliseconds)) + 1))
            if isSilent { pause = min(pause * 2, 50) }
            if watched[0].revents != 0 { feed(bytes, &given) }
            if watched[1].revents != 0 { drain(&ending.errors, keeping: keeping) }
        }
        ending.status = reap()
        // What it wrote last; a grandchild may write on for ever.
        var length = -1
        while errors >= 0, ending.errors.count < keeping, ending.errors.count != length {
            length = ending.errors.count
            drain(&ending.errors, keeping: keeping)
        }
        return ending
    }

    private mutating func feed(_ bytes: [UInt8], _ given: inout Int) {
        if given < bytes.count {
            let count = bytes.withUnsafeBytes { write(input, $0.baseAddress.map { $0 + given }, bytes.count - given) }
            if count < 0, errno == EAGAIN || errno == EINTR { return }
            given = count < 0 ? bytes.count : given + count
        }
        if given == bytes.count {
            close(input)
            input = -1
        }
    }

    private mutating func drain(_ kept: inout [UInt8], keeping: Int) {
        var piece = [UInt8](repeating: 0, count: 1 << 14)
        let count = read(errors, &piece, piece.count)
        if count > 0 {
            kept += piece.prefix(min(count, keeping - kept.count))
        } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
            close(errors)
            errors = -1
        }
    }

    /// Whether there is nothing to wait for any more; the child stays unreaped.
    private var hasEnded: Bool {
        var information = siginfo_t()
        let result = waitid(P_PID, id_t(id), &information, WEXITED | WNOHANG | WNOWAIT)
        return result == 0 ? information.si_signo == SIGCHLD : errno != EINTR
    }

    private func reap() -> Status {
        var status: Int32 = 0
        while true {
            if waitpid(id, &status, 0) == id { break }
            if errno != EINTR { return .lost }
        }
        let signal = status & 0x7F
        return signal == 0 ? .exited(status >> 8 & 0xFF) : .signalled(signal)
    }
}

extension Duration {
    fileprivate var inMilliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
