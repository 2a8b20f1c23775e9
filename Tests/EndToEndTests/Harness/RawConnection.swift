import Foundation
import Synchronization

/// A socket without any manners: what it is given it sends, byte for byte. Its blocking calls run on a queue of their own.
final class RawConnection: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private let descriptor: Int32
    private let queue = DispatchQueue(label: "drive-e2e.raw-connection")

    /// - Parameter patience: seconds a read or write may block.
    init(port: Int, patience: Int = 20) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(description: "no socket") }
        self.descriptor = descriptor
        var limit = timeval(tv_sec: patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard result == 0 else { throw Failure(description: "cannot connect: \(String(cString: strerror(errno)))") }
    }

    deinit { close(descriptor) }

    /// Sends everything; a server that closed meanwhile is no failure, its reply counts.
    func send(_ bytes: [UInt8]) async {
        await onQueue { descriptor in
            var done = 0
            while done < bytes.count {
                let count = bytes.withUnsafeBytes { buffer in
                    Foundation.send(descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done, Int32(MSG_NOSIGNAL))
                }
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return }
                done += count
            }
        }
    }

    func send(_ text: String) async { await send(Array(text.utf8)) }

    /// Sends the end of the stream; replies can still be read.
    func finishSending() async {
        await onQueue { _ = shutdown($0, Int32(SHUT_WR)) }
    }

    /// Breaks the connection off with a reset.
    func reset() async {
        await onQueue { descriptor in
            var linger = linger(l_onoff: 1, l_linger: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
            // The descriptor itself stays ours until deinit: only what it stands for is broken off.
            var unspecified = sockaddr()
            unspecified.sa_family = sa_family_t(AF_UNSPEC)
            _ = connect(descriptor, &unspecified, socklen_t(MemoryLayout<sockaddr>.size))
        }
    }

    /// Everything until the server closes, or `patience` is over.
    func readToEnd() async -> [UInt8] {
        await onQueue { descriptor in
            var all: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return all }
                all += buffer[..<count]
            }
        }
    }

    /// What comes next; empty at the end.
    func readSome() async -> [UInt8] {
        await onQueue { descriptor in
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            return Array(buffer[..<max(0, count)])
        }
    }

    /// Sends one request that asks for a close, and reads the first reply; nil where the server closed without one.
    static func exchange(port: Int, _ request: [UInt8], halfClose: Bool = false) async throws -> Reply? {
        let connection = try RawConnection(port: port)
        await connection.send(request)
        if halfClose { await connection.finishSending() }
        return Self.reply(in: await connection.readToEnd())
    }

    /// A request whose head is written as given, with the token and a close.
    static func request(_ line: String, token: String, headers: [String], body: [UInt8] = []) -> [UInt8] {
        let head = ["\(line) HTTP/1.1", "Host: 127.0.0.1", "Authorization: Bearer \(token)", "Connection: close"] + headers
        return Array((head.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body
    }

    /// The first reply that is not an interim one.
    static func reply(in bytes: [UInt8]) -> Reply? {
        var rest = bytes[...]
        while let end = rest.firstRange(of: Array("\r\n\r\n".utf8)) {
            let lines = String(decoding: rest[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
            rest = rest[end.upperBound...]
            guard let status = lines.first?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else { return nil }
            if (100..<200).contains(status) { continue }
            let headers = lines.dropFirst().compactMap { line -> (name: String, value: String)? in
                guard let colon = line.firstIndex(of: ":") else { return nil }
                return (String(line[..<colon]), line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces))
            }
            return Reply(status: status, headers: headers, body: Array(rest))
        }
        return nil
    }

    private func onQueue<Result: Sendable>(_ body: @escaping @Sendable (Int32) -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            queue.async { [self] in continuation.resume(returning: body(descriptor)) }
        }
    }
}
