import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOSSL

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
            upgradeConfiguration: .init(upgraders: [WebSocketUpgrader(upgrade: upgrade, accepted: accepted, isSecure: isSecure)]) {
                channel in
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
