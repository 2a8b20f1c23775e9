import DriveModel
import Foundation
import NIOPosix
import TestSupport
import Testing

@testable import DriveServer

@Suite struct KeySetFetcherTests {
    /// A port of 127.0.0.1 that nobody else gets. It refuses connections, or takes them and says nothing.
    private static func withPort(listening: Bool, _ body: (Int) async throws -> Void) async throws {
        let port = try LoopbackPort.reserve()
        defer { close(port.descriptor) }
        if listening { try #require(listen(port.descriptor, 8) == 0) }
        try await body(port.number)
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
