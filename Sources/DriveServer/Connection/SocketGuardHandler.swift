import NIOCore
import NIOSSL

/// The handler nearest to the socket, below TLS: sees the first byte of a request, counts what is written, and throws
/// away what arrives while the connection closes. It stays when the connection becomes a WebSocket.
final class SocketGuardHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private let driver: ConnectionDriver
    private var context: ChannelHandlerContext?

    init(driver: ConnectionDriver) {
        self.driver = driver
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        driver.socket = self
        driver.start()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        driver.channelClosed()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if driver.isDiscarding {
            driver.handle(.discarded(Self.unwrapInboundIn(data).readableBytes))
            return
        }
        if driver.awaitsRequest { driver.handle(.firstByte) }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        // Nobody above asks for bytes any more.
        if driver.isLingering { context.read() }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        driver.writtenBytes += Self.unwrapOutboundIn(data).readableBytes
        context.write(data, promise: promise)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent:
            driver.handle(.quiesce)
            context.fireUserInboundEventTriggered(event)
        case ChannelEvent.inputClosed where driver.isLingering:
            context.close(promise: nil)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        driver.channelClosed()
        context.fireChannelInactive()
    }

    func readOn() {
        context?.read()
    }

    /// Closes the socket. Over TLS the farewell (close_notify, RFC 8446 §6.1) goes out first where the socket takes it at
    /// once; it is not waited for, and neither is the client's, which a dead client would only delay.
    func closeNow(withFarewell: Bool) {
        guard let context else { return }
        if withFarewell { sayFarewell(context) }
        context.close(promise: nil)
    }

    private func sayFarewell(_ context: ChannelHandlerContext) {
        // Asked of the TLS handler itself: from the pipeline's end the call would come by the handlers of the exchange,
        // which take it for the end of an answer.
        guard let tls = try? context.pipeline.syncOperations.context(handlerType: NIOSSLServerHandler.self) else { return }
        (tls.handler as? NIOSSLServerHandler)?.close(context: tls, mode: .output, promise: nil)
    }
}
