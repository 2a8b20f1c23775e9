import HTTPTypes
import NIOCore

@testable import DriveServer

/// Sends every message back: what conformance suites talk to.
final class EchoApplication: WebSocketApplication {
    private weak var connection: WebSocketConnection?
    /// What stands in front of each text that is sent back; nothing, for a faithful echo.
    private let prefix: String

    init(prefix: String = "") {
        self.prefix = prefix
    }

    func opened(_ connection: WebSocketConnection) {
        self.connection = connection
        connection.signedIn()
    }

    func received(text: ByteBuffer) {
        var answer = ByteBuffer(string: prefix)
        answer.writeImmutableBuffer(text)
        connection?.send(WebSocketMessage(answer))
    }

    func received(binary: ByteBuffer) { connection?.send(frame: WebSocketFrameWriter.binary(binary)) }

    func becameWritable() {}

    func ended() {}
}

extension WebSocketUpgrade {
    /// A WebSocket at every address, joined as the live endpoint's is: handshake, compression and connection are the product's.
    /// Only its limits are wide enough for a suite: messages of 16 MiB in 65,536 fragments, and no bound on frames per second.
    static func echo(prefix: String = "") -> WebSocketUpgrade {
        let loops = LiveLoops()
        return WebSocketUpgrade { request, _ in
            try? WebSocketHandshake(method: request.method, fields: request.headerFields).responseFields
        } install: { channel, request in
            let handshake = try WebSocketHandshake(method: request.method, fields: request.headerFields)
            let connection = WebSocketConnection(
                application: EchoApplication(prefix: prefix), agreed: handshake.compression,
                compression: loops.loop(of: channel.eventLoop).compression,
                limits: .init(messageBytes: 16 << 20, fragments: 100_000, acceptsBinary: true), policy: .init(frames: nil))
            try connection.install(in: channel)
        }
    }
}
