import Crypto
import Foundation
import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypesHTTP1

/// When and how the first request of a connection becomes a WebSocket (RFC 6455).
package struct WebSocketUpgrade: Sendable {
    /// Extra fields of the `101` answer; nil leaves the request to the responder, which answers it like any other.
    package let shouldUpgrade: @Sendable (HTTPRequest, any Channel) async throws -> HTTPFields?
    /// Adds the WebSocket's handlers, on the connection's event loop; what arrived behind the request reaches them. The
    /// connection's graceful stop comes to them as `ChannelShouldQuiesceEvent`; what is still open at the policy's
    /// `gracefulStopDeadline` is cut off.
    package let install: @Sendable (any Channel, HTTPRequest) throws -> Void

    package init(
        shouldUpgrade: @escaping @Sendable (HTTPRequest, any Channel) async throws -> HTTPFields?,
        install: @escaping @Sendable (any Channel, HTTPRequest) throws -> Void
    ) {
        self.shouldUpgrade = shouldUpgrade
        self.install = install
    }
}

/// Answers the handshake that was accepted already (see `UpgradeGate`), and makes a WebSocket of the connection.
///
/// NIO's own upgrader brings an encoder that knows frames alone; ours writes bytes that were encoded once for many
/// connections.
struct WebSocketUpgrader: NIOTypedHTTPServerProtocolUpgrader {
    let supportedProtocol = "websocket"
    let requiredUpgradeHeaders: [String] = []
    let upgrade: WebSocketUpgrade
    /// The fields of the `101` answer.
    let accepted: NIOLoopBoundBox<HTTPHeaders>
    let isSecure: Bool

    func buildUpgradeResponse(
        channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
    ) -> EventLoopFuture<HTTPHeaders> {
        channel.eventLoop.makeCompletedFuture {
            var headers = initialResponseHeaders
            for (name, value) in accepted.value { headers.add(name: name, value: value) }
            headers.replaceOrAdd(name: "upgrade", value: "websocket")
            headers.replaceOrAdd(
                name: "sec-websocket-accept", value: Self.accept(upgradeRequest.headers.first(name: "sec-websocket-key") ?? ""))
            return headers
        }
    }

    func upgrade(channel: any Channel, upgradeRequest: HTTPRequestHead) -> EventLoopFuture<DriveHTTPChannel.Negotiated> {
        channel.eventLoop.makeCompletedFuture {
            try upgrade.install(channel, try HTTPRequest(upgradeRequest, secure: isSecure, splitCookie: false))
            return .webSocket
        }
    }

    /// The key and a constant, hashed (RFC 6455 §4.2.2): shows that the server speaks WebSocket, and secures nothing.
    static func accept(_ key: String) -> String {
        Data(Insecure.SHA1.hash(data: Data((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))).base64EncodedString()
    }
}
