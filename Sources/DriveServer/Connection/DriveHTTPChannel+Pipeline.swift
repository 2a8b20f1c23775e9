import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOSSL
import NIOWebSocket

/// When and how the first request of a connection becomes a WebSocket (RFC 6455).
package struct WebSocketUpgrade: Sendable {
    package typealias Frames = NIOAsyncChannel<WebSocketFrame, WebSocketFrame>

    /// Extra fields of the `101` answer; nil leaves the request to the responder, which answers it like any other.
    package let shouldUpgrade: @Sendable (HTTPRequest) async throws -> HTTPFields?
    /// Serves the WebSocket until it returns. `withGracefulShutdownHandler` works in it (close with 1001); what is
    /// still open at the policy's `gracefulStopDeadline` is cut off and cancelled.
    package let onUpgrade: @Sendable (Frames, HTTPRequest, Logger) async throws -> Void
    /// Bytes of one frame.
    package let maxFrameSize: Int

    package init(
        maxFrameSize: Int = 1 << 16,
        shouldUpgrade: @escaping @Sendable (HTTPRequest) async throws -> HTTPFields?,
        onUpgrade: @escaping @Sendable (Frames, HTTPRequest, Logger) async throws -> Void
    ) {
        self.shouldUpgrade = shouldUpgrade
        self.onUpgrade = onUpgrade
        self.maxFrameSize = maxFrameSize
    }
}

extension DriveHTTPChannel {
    /// Runs on the event loop, before the channel is active.
    func buildPipeline(channel: any Channel, driver: ConnectionDriver) throws -> EventLoopFuture<Negotiated> {
        let size = min(policy.receiveBufferSize, 16 << 10)
        // Starts small and grows only while reads come back full: an idle connection never holds the large buffer.
        let allocator = AdaptiveRecvByteBufferAllocator(minimum: min(2 << 10, size), initial: size, maximum: size)
        try channel.syncOptions?.setOption(.recvAllocator, value: allocator)
        try channel.syncOptions?.setOption(.maxMessagesPerRead, value: policy.maxMessagesPerRead)

        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(SocketGuardHandler(driver: driver))
        if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls.current)) }

        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderListSize = policy.maxHeaderBytes
        limits.maxHeaderFieldSize = policy.maxHeaderBytes
        limits.maxHeaderFieldCount = policy.maxHeaderCount
        let encoder = HTTPResponseEncoder()
        let decoder = ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: limits))
        let isSecure = tls != nil
        let accepted = NIOLoopBoundBox(HTTPHeaders(), eventLoop: channel.eventLoop)
        let gate = upgrade.map { UpgradeGate(shouldUpgrade: $0.shouldUpgrade, isSecure: isSecure, accepted: accepted) }
        let exchange = ExchangeHandler(driver: driver, upgradeGate: gate)
        try pipeline.addHandlers(encoder, decoder, exchange)

        guard let upgrade else {
            return channel.eventLoop.makeSucceededFuture(.http(try Self.parts(of: channel, isSecure: isSecure)))
        }
        let handler = NIOTypedHTTPServerUpgradeHandler(
            httpEncoder: encoder,
            extraHTTPHandlers: [decoder, exchange],
            upgradeConfiguration: .init(upgraders: [upgrade.upgrader(accepted: accepted, isSecure: isSecure)]) { channel in
                channel.eventLoop.makeCompletedFuture { .http(try Self.parts(of: channel, isSecure: isSecure)) }
            }
        )
        try pipeline.addHandler(handler)
        return handler.upgradeResultFuture
    }

    private static func parts(of channel: any Channel, isSecure: Bool) throws -> Parts {
        try channel.pipeline.syncOperations.addHandler(HTTP1ToHTTPServerCodec(secure: isSecure))
        // At most two parts wait for the handler: with them the memory of an upload is a few buffers, whatever its size.
        let strategy = NIOAsyncSequenceProducerBackPressureStrategies.HighLowWatermark(lowWatermark: 1, highWatermark: 2)
        let configuration = Parts.Configuration(backPressureStrategy: strategy, isOutboundHalfClosureEnabled: true)
        return try Parts(wrappingChannelSynchronously: channel, configuration: configuration)
    }
}

extension WebSocketUpgrade {
    /// Says yes to what the gate let through.
    fileprivate func upgrader(
        accepted: NIOLoopBoundBox<HTTPHeaders>, isSecure: Bool
    ) -> NIOTypedWebSocketServerUpgrader<DriveHTTPChannel.Negotiated> {
        NIOTypedWebSocketServerUpgrader(
            maxFrameSize: maxFrameSize,
            shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture(accepted.value) },
            upgradePipelineHandler: { channel, head in
                channel.eventLoop.makeCompletedFuture {
                    let request = try HTTPRequest(head, secure: isSecure, splitCookie: false)
                    return .webSocket(try Frames(wrappingChannelSynchronously: channel), request)
                }
            }
        )
    }
}
