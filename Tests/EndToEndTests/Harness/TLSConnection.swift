import Foundation
import NIOHTTP1
import Testing

/// One TLS connection, kept open between requests. `openssl s_client` does the TLS; what it is given goes out byte for byte.
///
/// The certificate must be one of those trusted and must be for 127.0.0.1, else no request is answered.
final class TLSConnection: Sendable {
    private let process: ChildProcess
    private let descriptor: Int32
    private let queue = DispatchQueue(label: "drive-e2e.tls-connection")
    private let port: Int
    private let errorPath: String

    /// - Parameters:
    ///   - trusted: a file with the certificates to trust.
    ///   - patience: seconds a read or write may block.
    init(port: Int, trusting trusted: String, patience: Int = 20) throws {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw CommandFailed(description: "no socket pair")
        }
        defer { Foundation.close(ends[1]) }
        var limit = timeval(tv_sec: patience, tv_usec: 0)
        setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        errorPath = "\(trusted).\(UUID().uuidString.prefix(6)).log"
        do {
            // The socket is stdin and stdout in one.
            process = try ChildProcess(
                [
                    "sh", "-c", #"exec openssl s_client "$@" <&1"#, "sh", "-quiet", "-connect", "127.0.0.1:\(port)", "-CAfile", trusted,
                    "-verify_return_error", "-verify_ip", "127.0.0.1",
                ], environment: DriveCommand.environment([:]), output: ends[1], errorPath: errorPath)
        } catch {
            Foundation.close(ends[0])
            throw error
        }
        descriptor = ends[0]
        self.port = port
    }

    deinit {
        process.killGroup()
        Foundation.close(descriptor)
    }

    /// Sends a request and reads its reply. Throws `CommandFailed` where the connection ends before it.
    func send(
        _ method: HTTPMethod, _ path: String, token: String? = nil, headers: [(String, String)] = [], body: [UInt8] = []
    ) async throws -> Reply {
        var lines = ["\(method.rawValue) \(path) HTTP/1.1", "Host: 127.0.0.1:\(port)", "Content-Length: \(body.count)"]
        if let token { lines.append("Authorization: Bearer \(token)") }
        lines += headers.map { "\($0): \($1)" }
        let request = Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body
        let reply: Reply? = await withCheckedContinuation { continuation in
            queue.async { [self] in continuation.resume(returning: exchange(request, hasBody: method != .HEAD)) }
        }
        guard let reply else {
            throw CommandFailed(description: "\(method) \(path): the connection ended: \(DriveCommand.text(errorPath))")
        }
        return reply
    }

    private func exchange(_ request: [UInt8], hasBody: Bool) -> Reply? {
        var sent = 0
        while sent < request.count {
            let count = request.withUnsafeBytes { buffer in
                Foundation.send(descriptor, buffer.baseAddress?.advanced(by: sent), buffer.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return nil }
            sent += count
        }
        var received: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 262_144)
        var reply: Reply?
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return nil }
            if reply != nil { reply?.body += buffer[..<count] } else { received += buffer[..<count] }
            // The head once, the body as it comes: a reply is not parsed anew for every piece.
            if reply == nil { reply = RawConnection.reply(in: received) }
            guard let reply else { continue }
            let length = hasBody ? reply.header("Content-Length").flatMap { Int($0) } ?? 0 : 0
            if reply.body.count >= length { return reply }
        }
    }

    /// The certificate a new connection is shown, in PEM; nil where there is no connection.
    static func presentedCertificate(port: Int) async throws -> String? {
        let result = try await DriveCommand.run(["s_client", "-connect", "127.0.0.1:\(port)"], program: "openssl", atMost: .seconds(20))
        let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----")
        guard let start = result.output.range(of: begin), let stop = result.output.range(of: end) else { return nil }
        return String(result.output[start.lowerBound..<stop.upperBound])
    }
}
