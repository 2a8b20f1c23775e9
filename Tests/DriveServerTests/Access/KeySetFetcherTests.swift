import DriveModel
import Foundation
import NIOPosix
import Testing

@testable import DriveServer

@Suite struct KeySetFetcherTests {
    private struct NoSocket: Error {}

    /// A port of 127.0.0.1 that nobody else gets. It refuses connections, or takes them and says nothing.
    private static func withPort(listening: Bool, _ body: (Int) async throws -> Void) async throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw NoSocket() }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 ? getsockname(descriptor, pointer, &length) : -1
            }
        }
        guard result == 0, !listening || listen(descriptor, 8) == 0 else { throw NoSocket() }
        try await body(Int(UInt16(bigEndian: address.sin_port)))
    }

    /// The error of a fetch, as the log shows it, and how long it took.
    private static func failure(_ url: String, timeout: Duration) async throws -> (text: String?, time: Duration) {
        let fetcher = HTTPKeySetFetcher(eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
        let start = ContinuousClock.now
        var text: String?
        do {
            _ = try await fetcher.fetch(url: url, maximumBytes: 1000, timeout: timeout)
        } catch {
            text = "\(error)"
        }
        let time = ContinuousClock.now - start
        try await fetcher.shutdown()
        return (text, time)
    }

    /// An address, or a name that has several.
    @Test(arguments: ["127.0.0.1", "localhost"]) func aRefusedConnectionIsSaidAtOnce(host: String) async throws {
        try await Self.withPort(listening: false) { port in
            let failure = try await Self.failure("http://\(host):\(port)/keys", timeout: .seconds(30))
            #expect(failure.text?.contains("Connection refused") == true, "\(failure)")
            #expect(failure.time < .seconds(5), "\(failure)")
        }
    }

    @Test func silenceIsATimeOut() async throws {
        try await Self.withPort(listening: true) { port in
            let failure = try await Self.failure("http://127.0.0.1:\(port)/keys", timeout: .milliseconds(300))
            #expect(failure.text == "\(HTTPKeySetFetcher.Failure.timedOut)")
            #expect(failure.time < .seconds(10), "\(failure)")
        }
    }
}
