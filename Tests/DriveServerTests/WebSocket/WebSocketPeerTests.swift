import HTTPTypes
import NIOCore
import Testing

@testable import DriveServer

/// Who lives and who is gone, by the bytes of a real socket. The policy is the product's in small: after 0.4 s of quiet a ping,
/// after 0.8 s the end. The product's own 30 and 60 s are waited for in the end-to-end suite `LiveOutageTests`.
@Suite struct WebSocketPeerTests {
    private static let policy: WebSocketLifeCycle.Policy = {
        var policy = WebSocketLifeCycle.Policy()
        policy.pingInterval /= 75
        policy.peerTimeout /= 75
        return policy
    }()

    /// Without payload and mask, as a server's are (RFC 6455 §5.2, §5.5.2).
    private static let ping: [UInt8] = [0x89, 0x00]
    /// Masked, as a client's must be.
    private static let pong: [UInt8] = [0x8A, 0x80, 1, 2, 3, 4]
    private static let text: [UInt8] = [0x81, 0x82, 0, 0, 0, 0] + Array("hi".utf8)

    /// Between these two moments the server began to count.
    private typealias Beginning = ClosedRange<ContinuousClock.Instant>

    /// A busy machine may be late by this; nothing may be early.
    private static func expect(
        _ beginning: Beginning, after due: Duration, _ comment: Comment, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let now = ContinuousClock.now
        let time = now - beginning.lowerBound
        #expect(
            time >= due && now - beginning.upperBound < due + .seconds(1.5), "\(comment): \(time)", sourceLocation: sourceLocation)
    }

    @Test func whoIsQuietIsPingedOnceAndThenGone() async throws {
        try await withPeer { server, peer, opening, ended in
            #expect(try await peer.read(2) == Self.ping)
            Self.expect(opening, after: Self.policy.pingInterval, "the ping")
            #expect(try await peer.read(2) == [], "nobody is there to read a close frame, or another ping")
            Self.expect(opening, after: Self.policy.peerTimeout, "the end")
            try await ended.seen()
        }
    }

    @Test func whoAnswersPingsStays() async throws {
        try await withPeer { server, peer, opening, _ in
            // Twice as long as silence is put up with.
            for round in 1...4 {
                #expect(try await peer.read(2) == Self.ping)
                Self.expect(opening, after: Self.policy.pingInterval * round, "ping \(round)")
                try await peer.send(Self.pong)
            }
            try await peer.send(Self.text)
            #expect(try await peer.read(4) == [0x81, 0x02] + Array("hi".utf8), "it is still there")
            #expect(server.registry.openCount == 1)
        }
    }

    /// The ping waits behind what is not read, as would a close frame: the end waits for nothing.
    @Test func whoReadsNothingIsGoneWithWhatWaitsForIt() async throws {
        let waiting = 32 << 20
        try await withPeer(sending: waiting) { server, peer, _, ended in
            try await peer.reads(false)
            let start = ContinuousClock.now
            try await peer.send(Self.text)
            let sending = start...ContinuousClock.now
            try await ended.seen()
            Self.expect(sending, after: Self.policy.peerTimeout, "the end")
            // What the system had taken still comes.
            try await peer.reads(true)
            let came = try await peer.read(.max).count
            #expect(came > 4096 && came < waiting, "\(came) bytes: it read nothing, and not all waited in the system")
            #expect(server.registry.openCount == 0)
        }
    }

    /// Connects one peer to a server that answers its text with as many bytes, or with the same text.
    private func withPeer(
        sending bytes: Int? = nil,
        _ test: @escaping @Sendable (RunningServer, WebSocketPeer, _ opening: Beginning, _ ended: Signal) async throws -> Void
    ) async throws {
        let ended = Signal()
        let upgrade = WebSocketUpgrade { _, _ in
            [:]
        } install: { channel, _ in
            let connection = WebSocketConnection(
                application: Application(answer: bytes.map { String(repeating: "x", count: $0) }, ended: ended), agreed: nil,
                compression: WebSocketCompression(), policy: Self.policy)
            try connection.install(in: channel)
        }
        try await withServer(upgrade: upgrade) { _ in
        } test: { server in
            let start = ContinuousClock.now
            let peer = try await WebSocketPeer.open(port: server.port)
            try await test(server, peer, start...ContinuousClock.now, ended)
            await peer.close()
        }
    }

    /// Tells when its connection has ended.
    private final class Application: WebSocketApplication {
        private let answer: String?
        private let hasEnded: Signal
        private weak var connection: WebSocketConnection?

        /// - Parameter answer: to every text; nil for an echo.
        init(answer: String?, ended: Signal) {
            self.answer = answer
            hasEnded = ended
        }

        func opened(_ connection: WebSocketConnection) {
            self.connection = connection
            connection.signedIn()
        }

        func received(text: ByteBuffer) { connection?.send(answer.map { WebSocketMessage($0) } ?? WebSocketMessage(text)) }

        func received(binary: ByteBuffer) {}

        func becameWritable() {}

        func ended() { hasEnded.fire() }
    }
}
