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
    func buildPipeline(channel: any Channel, driver: ConnectionDriver) throws -> Parts {
        let size = min(policy.receiveBufferSize, 16 << 10)
        // Starts small and grows only while reads come back full: an idle connection never holds the large buffer.
        let allocator = AdaptiveRecvByteBufferAllocator(minimum: min(2 << 10, size), initial: min(2 << 10, size), maximum: size)
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
        try pipeline.addHandlers(encoder, decoder, ExchangeHandler(driver: driver, upgrade: upgrade, isSecure: isSecure))
        try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: isSecure))
        // At most two parts wait for the handler: with them the memory of an upload is a few buffers, whatever its size.
        let strategy = NIOAsyncSequenceProducerBackPressureStrategies.HighLowWatermark(lowWatermark: 1, highWatermark: 2)
        let configuration = Parts.Configuration(backPressureStrategy: strategy, isOutboundHalfClosureEnabled: true)
        return try Parts(wrappingChannelSynchronously: channel, configuration: configuration)
    }
}
