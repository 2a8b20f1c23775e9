import NIOCore
import NIOHTTP1

/// Answers a connection above the limits and closes it.
final class RefusalHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let isEncrypted: Bool

    init(isEncrypted: Bool) {
        self.isEncrypted = isEncrypted
    }

    func channelActive(context: ChannelHandlerContext) {
        guard !isEncrypted else {
            context.close(promise: nil)
            return
        }
        let refusal = ConnectionRefusal.tooManyConnections
        var answer = ByteBuffer(string: "HTTP/1.1 503 Service Unavailable\r\n")
        for (name, value) in refusal.head(version: .http1_1).headers { answer.writeString("\(name): \(value)\r\n") }
        answer.writeString("retry-after: 1\r\n\r\n")
        answer.writeImmutableBuffer(refusal.body)
        context.writeAndFlush(Self.wrapOutboundOut(answer)).assumeIsolated().whenComplete { _ in context.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
}
