import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypesHTTP1

/// Decides about the upgrade of a connection's first request before NIO's upgrade handler sees it.
///
/// That handler loses a request whose upgrade is refused, or offers a protocol nobody knows (`curl --http2`): what it
/// gets to see as an offer is therefore accepted already, and every other offer is taken out of the head, as a server
/// may do (RFC 9110 §7.8).
struct UpgradeGate {
    let shouldUpgrade: @Sendable (HTTPRequest, any Channel) async throws -> HTTPFields?
    let isSecure: Bool
    /// The fields of the `101` answer, for NIO's upgrader.
    let accepted: NIOLoopBoundBox<HTTPHeaders>

    /// A request that NIO's WebSocket upgrader cannot refuse for its form (RFC 6455 §4.2.1).
    static func isWebSocketOffer(_ head: HTTPRequestHead) -> Bool {
        head.method == .GET && head.version == .http1_1
            && head.headers[canonicalForm: "upgrade"].contains { $0.lowercased() == "websocket" }
            && head.headers[canonicalForm: "connection"].contains { $0.lowercased() == "upgrade" }
            && head.headers[canonicalForm: "sec-websocket-version"] == ["13"]
            && head.headers[canonicalForm: "sec-websocket-key"].count == 1
    }

    /// - Returns: the fields of the `101` answer, nil where the request is to be answered like any other.
    func decide(_ head: HTTPRequestHead, on channel: any Channel) -> EventLoopFuture<HTTPHeaders?> {
        let promise = channel.eventLoop.makePromise(of: HTTPHeaders?.self)
        promise.completeWithTask { [shouldUpgrade, isSecure] in
            let request = try HTTPRequest(head, secure: isSecure, splitCookie: false)
            return try await shouldUpgrade(request, channel).map { HTTPHeaders($0) }
        }
        return promise.futureResult
    }
}

extension ExchangeHandler {
    /// Hands the head on: at once, or when the upgrade it offers has been decided.
    func forward(_ original: HTTPRequestHead, hasBody: Bool, context: ChannelHandlerContext) {
        let gate = upgradeGate
        upgradeGate = nil
        guard let gate, !hasBody, UpgradeGate.isWebSocketOffer(original) else {
            var head = original
            head.headers.remove(name: "upgrade")
            context.fireChannelRead(Self.wrapInboundOut(.head(head)))
            return
        }
        isDeciding = true
        gate.decide(original, on: context.channel).assumeIsolated().whenComplete { result in
            guard let context = self.context, !self.isClosing else { return }
            self.isDeciding = false
            var head = original
            if case .success(let fields?) = result {
                gate.accepted.value = fields
            } else {
                head.headers.remove(name: "upgrade")
            }
            context.fireChannelRead(Self.wrapInboundOut(.head(head)))
            self.replay(context: context)
        }
    }
}
