import NIOCore
import NIOHTTP1

// The outbound half: responses, refusals, and the orderly end of a connection.
extension ExchangeHandler {
    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !isClosing, let current = exchange, !current.responseComplete else {
            promise?.fail(ConnectionError.requestOver)
            return
        }
        switch Self.unwrapOutboundIn(data) {
        case .head(let head) where head.status.code < 200:
            writeInformational(head, context: context, promise: promise)
        case .head(let head):
            writeFinalHead(head, context: context, promise: promise)
        case .body:
            // The answer to HEAD has no body, whatever the handler says (RFC 9110 §9.3.2).
            if current.isHead { promise?.succeed() } else { context.write(data, promise: promise) }
        case .end:
            context.write(data, promise: promise)
            responseEnded(context: context)
        }
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        switch event {
        case let failure as ExchangeFailure:
            if exchange?.responseComplete != true { refuse(failure.refusal) }
        case is BodyInterruption:
            if exchange?.requestComplete == false { failBody(.bodyInterrupted) }
        case let report as DepartureReport:
            reportDeparture(report)
        case let report as SilenceReport:
            reportSilence(every: report.period)
        default:
            context.triggerUserOutboundEvent(event, promise: promise)
            return
        }
        promise?.succeed()
    }

    /// The request loop has nothing more to write. Whatever was written is sent before the socket closes.
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode == .output else {
            context.close(mode: mode, promise: promise)
            return
        }
        promise?.succeed()
        if isClosing { return }
        if let exchange, !exchange.responseComplete {
            driver.close()
        } else {
            beginClose(context: context)
        }
    }

    /// Answers with an error and closes; where a response has begun it can only be cut off.
    func refuse(_ refusal: ConnectionRefusal) {
        guard let context, !isClosing else { return }
        if exchange?.finalHeadWritten == true {
            driver.close()
            return
        }
        let isHead = exchange?.isHead ?? false
        let version: HTTPVersion = exchange?.isHTTP10 == true ? .http1_0 : .http1_1
        context.write(Self.wrapOutboundOut(.head(refusal.head(version: version))), promise: nil)
        if !isHead { context.write(Self.wrapOutboundOut(.body(.byteBuffer(refusal.body))), promise: nil) }
        context.write(Self.wrapOutboundOut(.end(nil)), promise: nil)
        exchange = nil
        beginClose(context: context)
    }

    /// Sends what is written, closes the sending side, and lingers so that the client can read the answer: closing a
    /// socket with unread bytes would send a reset, which throws the answer away (RFC 9112 §9.6).
    func beginClose(context: ChannelHandlerContext) {
        guard !isClosing else { return }
        isClosing = true
        dropHeld()
        finishReceiving()
        driver.discard()
        driver.handle(.responseComplete(.close))
        let flushed = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(Self.wrapOutboundOut(.body(.byteBuffer(ByteBuffer()))), promise: flushed)
        flushed.futureResult.assumeIsolated().whenComplete { _ in
            guard let context = self.context else { return }
            if self.isInputClosed {
                self.driver.close()
            } else {
                context.close(mode: .output, promise: nil)
                self.driver.linger()
            }
        }
    }

    private func writeInformational(_ head: HTTPResponseHead, context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
        // Interim responses come before the final one, and never to HTTP/1.0 (RFC 9110 §15.2).
        guard let current = exchange, !current.finalHeadWritten, !current.isHTTP10 else {
            promise?.succeed()
            return
        }
        if head.status == .continue {
            exchange?.continueSent = true
            driver.handle(.continueSent)
        }
        context.write(Self.wrapOutboundOut(.head(head)), promise: promise)
    }

    private func writeFinalHead(_ original: HTTPResponseHead, context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
        guard var current = exchange, !current.finalHeadWritten else {
            promise?.fail(ConnectionError.requestOver)
            return
        }
        var head = original
        current.finalHeadWritten = true
        let asksClose = head.headers[canonicalForm: "connection"].contains { $0.lowercased() == "close" }
        if asksClose || driver.isStopping { current.mustClose = true }
        if current.closesAfterResponse(drainLimit: driver.policy.drainLimit) { current.mustClose = true }
        if current.isHTTP10 { head.version = .http1_0 }
        if current.isHead, !head.headers.contains(name: "content-length"), head.status.mayHaveResponseBody {
            // NIO's encoder would end the answer with a chunk; as HTTP/1.0 it adds no framing.
            head.version = .http1_0
            current.mustClose = true
        }
        if current.mustClose { head.headers.replaceOrAdd(name: "connection", value: "close") }
        exchange = current
        context.write(Self.wrapOutboundOut(.head(head)), promise: promise)
    }

    private func responseEnded(context: ChannelHandlerContext) {
        guard var current = exchange else { return }
        current.responseComplete = true
        exchange = current
        if current.mustClose {
            beginClose(context: context)
        } else if current.requestComplete {
            finishExchange(context: context)
        } else {
            driver.handle(.responseComplete(.drain))
        }
    }
}
