import NIOCore

/// Closes an HTTP/2 connection over which nothing came any more: a request that nobody answers ends its stream alone, and the
/// client's pool would hand the same connection to the next one for as long as TCP believes in it.
///
/// Stands at the connection's socket, where each byte of the peer is seen; `SilentStreamWatch` judges.
final class SilentConnectionWatch: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    /// Where a stream ends that waited, and nothing came for so long, the connection is given up. Shorter silences are usual.
    static let leastSilence = TimeAmount.seconds(1)

    private(set) var lastRead = NIODeadline.now()

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastRead = .now()
        context.fireChannelRead(data)
    }

    /// For the connections of a client.
    static let onConnection: @Sendable (any Channel) -> EventLoopFuture<Void> = { channel in
        channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(SilentConnectionWatch(), position: .first)
        }
    }

    /// For their streams, which share the connection's event loop.
    static let onStream: @Sendable (any Channel) -> EventLoopFuture<Void> = { channel in
        channel.eventLoop.makeCompletedFuture {
            guard let connection = channel.parent else { return }
            let watch = try connection.pipeline.syncOperations.handler(type: SilentConnectionWatch.self)
            try channel.pipeline.syncOperations.addHandler(SilentStreamWatch(connection, watch), position: .first)
        }
    }
}

/// One request over such a connection.
private final class SilentStreamWatch: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    private let connection: any Channel
    private let watch: SilentConnectionWatch
    private let opened = NIODeadline.now()

    init(_ connection: any Channel, _ watch: SilentConnectionWatch) {
        self.connection = connection
        self.watch = watch
    }

    func channelInactive(context: ChannelHandlerContext) {
        if .now() - max(opened, watch.lastRead) >= SilentConnectionWatch.leastSilence { connection.close(promise: nil) }
        context.fireChannelInactive()
    }
}
