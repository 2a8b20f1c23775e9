import Foundation

/// A TCP connection to 127.0.0.1 whose reads end at a deadline. Reads and writes block on queues of their own, so that one
/// goes on while the other waits.
final class DeadlineSocket: Sendable {
    private let descriptor: Int32
    private let reading = DispatchQueue(label: "drive-e2e.live.reading")
    private let writing = DispatchQueue(label: "drive-e2e.live.writing")

    /// - Parameter receiveBuffer: bytes that the system keeps for who does not read; nil: as many as it likes.
    init(port: Int, receiveBuffer: Int? = nil) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw RawConnection.Failure(description: "no socket") }
        self.descriptor = descriptor
        // Before the connection, which tells the peer of it.
        if var size = receiveBuffer.map(Int32.init) {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        // A peer that takes nothing ends a write in the end.
        var patience = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard result == 0 else { throw RawConnection.Failure(description: "cannot connect: \(String(cString: strerror(errno)))") }
    }

    deinit { close(descriptor) }

    /// Sends everything; a server that closed meanwhile is no failure, what it said counts.
    func send(_ bytes: [UInt8]) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            writing.async { [self] in
                _ = LoopbackSocket.send(bytes[...], to: descriptor)
                continuation.resume()
            }
        }
    }

    /// What comes next, at most 64 KiB; empty where the connection has ended. Throws `TimedOut`.
    func read(until deadline: ContinuousClock.Instant) async throws -> [UInt8] {
        let bytes = await withCheckedContinuation { (continuation: CheckedContinuation<[UInt8]?, Never>) in
            reading.async { [self] in continuation.resume(returning: Self.read(descriptor, until: deadline)) }
        }
        guard let bytes else { throw TimedOut(what: "bytes from the server") }
        return bytes
    }

    /// Nil: nothing came in time.
    private static func read(_ descriptor: Int32, until deadline: ContinuousClock.Instant) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let left = max(.zero, deadline - .now)
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(
                &entry, 1, Int32(clamping: left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000))
            if ready < 0 && errno == EINTR { continue }
            guard ready > 0 else {
                if ContinuousClock.now < deadline { continue }
                return nil
            }
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0 && errno == EINTR { continue }
            return Array(buffer[..<max(0, count)])
        }
    }
}
