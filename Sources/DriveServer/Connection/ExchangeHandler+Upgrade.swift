import Crypto
import Foundation
import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypesHTTP1

/// When and how a connection becomes a WebSocket (RFC 6455).
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

    /// Whether a request has the form of an offer (RFC 6455 §4.2.1). Any other offer of an upgrade is taken out of the head, as a
    /// server may do (RFC 9110 §7.8).
    static func isOffered(by head: HTTPRequestHead) -> Bool {
        head.method == .GET && head.version == .http1_1
            && head.headers[canonicalForm: "upgrade"].contains { $0.lowercased() == "websocket" }
            && head.headers[canonicalForm: "connection"].contains { $0.lowercased() == "upgrade" }
            && head.headers[canonicalForm: "sec-websocket-version"] == ["13"]
            && head.headers[canonicalForm: "sec-websocket-key"].count == 1
    }

    /// The key and a constant, hashed (RFC 6455 §4.2.2): shows that the server speaks WebSocket, and secures nothing.
    static func accept(_ key: String) -> String {
        Data(Insecure.SHA1.hash(data: Data((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))).base64EncodedString()
    }
}

/// Any request of a connection may become a WebSocket, not the first alone: proxies keep connections and use them for both.
extension ExchangeHandler {
    /// Hands the head on: at once, or when the upgrade it offers has been decided.
    func forward(_ original: HTTPRequestHead, hasBody: Bool, context: ChannelHandlerContext) {
        guard let upgrade, !hasBody, WebSocketUpgrade.isOffered(by: original),
            let request = try? HTTPRequest(original, secure: isSecure, splitCookie: false)
        else { return pass(original, context: context) }
        isDeciding = true
        let promise = context.eventLoop.makePromise(of: HTTPFields?.self)
        let channel = context.channel
        promise.completeWithTask { try await upgrade.shouldUpgrade(request, channel) }
        promise.futureResult.assumeIsolated().whenComplete { result in
            guard let context = self.context, !self.isClosing else { return }
            self.isDeciding = false
            if case .success(let fields?) = result, !self.driver.isStopping {
                self.becomeWebSocket(upgrade, original, request, fields, context: context)
            } else {
                // With its offer: the route says why it did not become one.
                context.fireChannelRead(Self.wrapInboundOut(.head(original)))
                self.replay(context: context)
            }
        }
    }

    private func pass(_ original: HTTPRequestHead, context: ChannelHandlerContext) {
        var head = original
        head.headers.remove(name: "upgrade")
        context.fireChannelRead(Self.wrapInboundOut(.head(head)))
    }

    /// Answers `101` and takes the handlers of HTTP away. The request loop stays, and sees nothing but the connection's end.
    private func becomeWebSocket(
        _ upgrade: WebSocketUpgrade, _ head: HTTPRequestHead, _ request: HTTPRequest, _ fields: HTTPFields,
        context: ChannelHandlerContext
    ) {
        var answer = HTTPResponseHead(version: .http1_1, status: .switchingProtocols, headers: HTTPHeaders(fields))
        answer.headers.add(name: "Upgrade", value: "websocket")
        answer.headers.add(name: "Connection", value: "upgrade")
        answer.headers.add(
            name: "Sec-WebSocket-Accept", value: WebSocketUpgrade.accept(head.headers.first(name: "sec-websocket-key") ?? ""))
        context.write(Self.wrapOutboundOut(.head(answer)), promise: nil)
        context.writeAndFlush(Self.wrapOutboundOut(.end(nil)), promise: nil)
        dropHeld()
        exchange = nil
        let pipeline = context.pipeline.syncOperations
        do {
            // Between this handler and those of the request loop, which get no bytes from there.
            try upgrade.install(context.channel, request)
            let decoder = try pipeline.context(handlerType: ByteToMessageHandler<HTTPRequestDecoder>.self)
            pipeline.removeHandler(context: try pipeline.context(handlerType: HTTPResponseEncoder.self), promise: nil)
            pipeline.removeHandler(context: context, promise: nil)
            // Last: what it has read behind the request goes to the WebSocket.
            pipeline.removeHandler(context: decoder, promise: nil)
        } catch {
            driver.close()
        }
    }
}
