import NIOCore
import NIOWebSocket

/// What runs over a WebSocket. All of it is called on the connection's event loop.
protocol WebSocketApplication: AnyObject {
    /// The connection stands.
    func opened(_ connection: WebSocketConnection)
    func received(text: ByteBuffer)
    /// Never, where the connection's limits do not accept binary messages.
    func received(binary: ByteBuffer)
    /// The connection takes more to send, after it took no more (`isWritable`).
    func becameWritable()
    /// A close frame is out, or the connection is gone: nothing is received or sent any more. Called once.
    func ended()
}

/// One WebSocket on its event loop: joins the rules of frames (`WebSocketMessageReader`) and of time (`WebSocketLifeCycle`)
/// to a channel and an application. Confined to the event loop.
final class WebSocketConnection: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = ByteBuffer

    /// TCP_NOTSENT_LOWAT of Linux: bytes the kernel takes before what it has is sent.
    private static let unsentLowWater = NIOBSDSocket.Option(rawValue: 25)

    private let application: any WebSocketApplication
    private let compression: WebSocketCompression
    private let agreed: PerMessageDeflate?
    private let clock = ContinuousClock()
    private var reader: WebSocketMessageReader
    private var rules: WebSocketLifeCycle
    private var timer: (task: Scheduled<Void>, due: ContinuousClock.Instant)?
    private var context: ChannelHandlerContext?
    private var hasEnded = false
    private var needsFlush = false

    /// - Parameters:
    ///   - agreed: what the handshake agreed of compression.
    ///   - compression: the event loop's.
    init(
        application: any WebSocketApplication, agreed: PerMessageDeflate?, compression: WebSocketCompression,
        limits: WebSocketMessageReader.Limits = .init(), policy: WebSocketLifeCycle.Policy = .init()
    ) {
        self.application = application
        self.agreed = agreed
        self.compression = compression
        reader = WebSocketMessageReader(limits: limits, isCompressionAgreed: agreed != nil)
        rules = WebSocketLifeCycle(policy: policy, openedAt: clock.now)
    }

    /// Adds the handlers of a WebSocket to a channel, behind that of HTTP exchanges; on its event loop.
    func install(in channel: any Channel) throws {
        // What the peer does not read waits here, where newer progress takes the place of older, and not in the kernel.
        try? channel.syncOptions?.setOption(.tcpOption(Self.unsentLowWater), value: 64 << 10)
        let pipeline = channel.pipeline.syncOperations
        let exchange = try pipeline.handler(type: ExchangeHandler.self)
        let decoder = ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: reader.limits.compressedBytes))
        try pipeline.addHandlers(decoder, self, position: .after(exchange))
    }

    // MARK: What the application calls

    /// False while what was sent waits for the peer: an application that can wait does.
    var isWritable: Bool { rules.isOpen && context?.channel.isWritable == true }

    /// Sends a text message; after a close frame nothing is sent.
    func send(_ message: WebSocketMessage) {
        guard rules.isOpen else { return }
        write(compression.frame(for: message, agreed: agreed))
    }

    /// Sends bytes as they are, which must be one frame; for what is not text.
    func send(frame: ByteBuffer) {
        if rules.isOpen { write(frame) }
    }

    /// Sends what was written since the last flush. Called by itself after each message that was received.
    func flush() {
        guard needsFlush else { return }
        needsFlush = false
        context?.flush()
    }

    /// The peer may stay.
    func signedIn() { handle(.signedIn) }

    func close(_ code: WebSocketCloseCode, reason: String) { handle(.close(code, reason: reason)) }

    // MARK: The channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        // Reading was held back while the handshake was decided, by a handler that is gone.
        context.read()
        arm()
        application.opened(self)
        flush()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end()
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        handle(.frameArrived)
        let frame = Self.unwrapInboundIn(data)
        guard let event = reader.read(frame, compression: compression) else { return }
        switch event {
        case .text(let text): if rules.isOpen { application.received(text: text) }
        case .binary(let bytes): if rules.isOpen { application.received(binary: bytes) }
        case .ping(let payload):
            // Of many only the last need be answered (RFC 6455 §5.5.3): not while the peer does not read.
            if isWritable { write(WebSocketFrameWriter.pong(payload)) }
        case .pong: break
        case .close(let code, _): handle(.peerClosed(code))
        case .failed(let violation):
            close(violation.closeCode, reason: violation.reason)
            // A close frame that is wrong is the peer's last frame too: no other is waited for.
            if frame.opcode == .connectionClose { handle(.peerClosed(nil)) }
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        flush()
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if isWritable {
            application.becameWritable()
            flush()
        }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent: close(.goingAway, reason: "the server stops; come back")
        // There is no half of a WebSocket.
        case ChannelEvent.inputClosed: context.close(promise: nil)
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Of what comes behind a frame that could not be read nothing is: it is thrown away until the connection ends.
        if case ByteToMessageDecoderError.dataReceivedInErrorState = error { return }
        guard let error = error as? NIOWebSocketError else { return context.close(promise: nil) }
        reader.ignoreMessages()
        let violation = WebSocketViolation(error)
        close(violation.closeCode, reason: violation.reason)
        // The peer's close frame could not be read: the end of our side asks for the end of its own. A whole close would
        // reset the connection under a peer that still sends, and take the close frame from it.
        closeWhenWritten(.output)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    // MARK: The rules

    private func handle(_ event: WebSocketLifeCycle.Event) {
        for action in rules.handle(event, now: clock.now) { perform(action) }
        if event != .frameArrived { arm() }
    }

    private func perform(_ action: WebSocketLifeCycle.Action) {
        switch action {
        case .sendPing:
            write(WebSocketFrameWriter.emptyPing)
            flush()
        case .sendClose(let code, let reason):
            reader.ignoreMessages()
            write(WebSocketFrameWriter.close(code, reason: reason))
            flush()
            leave()
            // A frame may have come that moves the deadline nearer.
            arm()
        case .closeWhenWritten: closeWhenWritten(.all)
        case .drop:
            context?.close(promise: nil)
        }
    }

    private func closeWhenWritten(_ mode: CloseMode) {
        guard let context else { return }
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer())).whenComplete { _ in loopBound.value.close(mode: mode, promise: nil) }
    }

    private func write(_ bytes: ByteBuffer) {
        guard let context else { return }
        context.write(Self.wrapOutboundOut(bytes), promise: nil)
        needsFlush = true
    }

    /// One timer, which is moved only where a deadline came nearer.
    private func arm() {
        guard !hasEnded || context?.channel.isActive == true, let context, let due = rules.nextDeadline else { return }
        if let timer {
            if timer.due <= due { return }
            timer.task.cancel()
        }
        let task = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(clock.now.duration(to: due))) { self.timerFired() }
        timer = (task, due)
    }

    private func timerFired() {
        timer = nil
        guard let due = rules.nextDeadline else { return }
        if clock.now >= due { handle(.timePassed) } else { arm() }
    }

    private func end() {
        timer?.task.cancel()
        timer = nil
        leave()
    }

    private func leave() {
        guard !hasEnded else { return }
        hasEnded = true
        application.ended()
    }
}
