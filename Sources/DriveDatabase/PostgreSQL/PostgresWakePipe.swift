import DriveModel
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Lets one thread wait for a socket while others can end that wait.
final class PostgresWakePipe: Sendable {
    private let readEnd: Int32
    private let writeEnd: Int32
    private let stopped = Mutex(false)

    init() throws(DatabaseError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw DatabaseError(.unavailable, "no file descriptors for a pipe (errno \(errno))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        readEnd = ends[0]
        writeEnd = ends[1]
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    var isStopped: Bool { stopped.withLock { $0 } }

    /// Ends this and every later wait.
    func stop() {
        let isFirst = stopped.withLock { stopped in
            defer { stopped = true }
            return !stopped
        }
        // Never read, so that the pipe stays readable.
        if isFirst { _ = write(writeEnd, [0], 1) }
    }

    /// Blocks until `socket` has input, `stop` was called or the time is over; true where the socket has input.
    func waitForInput(on socket: Int32?, atMost timeout: Duration?) -> Bool {
        var entries = [
            pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0),
            // `poll` passes over a negative descriptor.
            pollfd(fd: socket ?? -1, events: Int16(POLLIN), revents: 0),
        ]
        let milliseconds = timeout.map { Int32(clamping: $0.wholeMicroseconds / 1000) } ?? -1
        return poll(&entries, nfds_t(entries.count), milliseconds) > 0 && entries[1].revents != 0
    }
}
