import NIOCore
import NIOHTTP1

/// Asks the connection to answer an error of the request loop, or to close where the answer has begun.
struct ExchangeFailure: Sendable {
    let refusal: ConnectionRefusal
}

/// Keeps one exchange after the other: request in, response out, and the end of the connection.
///
/// It stands right above the HTTP codec. Inbound it holds pipelined requests until their turn and answers what cannot be
/// parsed; outbound (see `ExchangeHandler+Response.swift`) it decides at the response head whether the connection stays.
final class ExchangeHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private enum Held {
        case part(HTTPServerRequestPart)
        case error(any Error)
        case inputClosed
    }

    let driver: ConnectionDriver
    var context: ChannelHandlerContext?
    var exchange: ExchangeState?
    /// The last answer is out (or being sent): nothing more is read or written.
    var isClosing = false
    var isInputClosed = false
    /// Counted as a body in the registry until the exchange ends.
    private var isReceiving = false
    private var held = CircularBuffer<Held>()
    private var isReadHeld = false
    /// Nil where no upgrade is offered.
    let upgrade: WebSocketUpgrade?
    let isSecure: Bool
    /// Those who want to know that the client of the current exchange went away.
    private var departures: [DepartureReport] = []
    /// Set while somebody wants to know that the body stands still.
    var silenceTimer: Scheduled<Void>?
    /// What follows a head waits until its upgrade is decided.
    var isDeciding = false

    init(driver: ConnectionDriver, upgrade: WebSocketUpgrade?, isSecure: Bool) {
        self.driver = driver
        self.upgrade = upgrade
        self.isSecure = isSecure
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        driver.exchange = self
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        finishReceiving()
        departures.removeAll()
        // Removed from a living connection: it has become a WebSocket.
        if context.channel.isActive, !isClosing { driver.handle(.upgraded) }
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return }
        let part = Self.unwrapInboundIn(data)
        if mustHold(part) {
            hold(.part(part))
        } else {
            deliver(part, context: context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if driver.measuresBody { driver.handle(.readsSatisfied) }
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        if isClosing { return }
        if isDeciding || !held.isEmpty {
            isReadHeld = true
            return
        }
        driver.handle(.readsDemanded)
        context.read()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError else {
            if !isClosing, !(error is ByteToMessageDecoderError) { context.fireErrorCaught(error) }
            return
        }
        if isClosing { return }
        if held.isEmpty, !isDeciding {
            parserFailed(error, context: context)
        } else {
            held.append(.error(error))
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        if isClosing {
            isInputClosed = true
        } else if held.isEmpty, !isDeciding {
            inputClosed(context: context)
        } else {
            held.append(.inputClosed)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        held.removeAll()
        finishReceiving()
        tellDeparture()
        context.fireChannelInactive()
    }

    /// Makes the reader of the body fail; what it answers is the connection's last answer.
    func failBody(_ error: ConnectionError) {
        exchange?.mustClose = true
        context?.fireErrorCaught(error)
    }

    /// Half of an answer is out that may have neither a length nor chunks: only the farewell of TLS tells that such an answer
    /// is whole (RFC 9112 §9.8).
    var isAnswerOpenEnded: Bool {
        guard let exchange else { return false }
        return exchange.isHTTP10 && exchange.finalHeadWritten && !exchange.responseComplete
    }

    /// Both halves of the exchange are complete.
    func finishExchange(context: ChannelHandlerContext) {
        finishReceiving()
        departures.removeAll()
        let mustClose = exchange?.mustClose ?? true
        exchange = nil
        if mustClose || driver.isStopping || (isInputClosed && held.isEmpty) {
            beginClose(context: context)
            return
        }
        driver.handle(.responseComplete(.keepAlive))
        replay(context: context)
    }

    func finishReceiving() {
        stopReportingSilence()
        guard isReceiving else { return }
        isReceiving = false
        driver.finishReceiving()
    }

    func reportDeparture(_ report: DepartureReport) {
        guard let exchange, !exchange.responseComplete else { return }
        if isInputClosed { report.tell() } else { departures.append(report) }
    }

    private func tellDeparture() {
        for report in departures { report.tell() }
        departures.removeAll()
    }

    func dropHeld() {
        held.removeAll()
    }
}

extension ExchangeHandler {
    private func mustHold(_ part: HTTPServerRequestPart) -> Bool {
        if isDeciding || !held.isEmpty { return true }
        guard case .head = part else { return false }
        return exchange != nil
    }

    private func hold(_ item: Held) {
        if held.count < driver.policy.maxPipelinedParts {
            held.append(item)
        } else {
            // A client may not make us hold requests without end; those not answered it may repeat (RFC 9112 §9.3.2).
            exchange?.mustClose = true
        }
    }

    private func deliver(_ part: HTTPServerRequestPart, context: ChannelHandlerContext) {
        switch part {
        case .head(let head):
            start(head, context: context)
        case .body(let buffer):
            exchange?.receivedBytes += buffer.readableBytes
            driver.received(bodyBytes: buffer.readableBytes)
            context.fireChannelRead(Self.wrapInboundOut(part))
        case .end:
            exchange?.requestComplete = true
            driver.handle(.bodyComplete)
            context.fireChannelRead(Self.wrapInboundOut(part))
            if exchange?.responseComplete == true { finishExchange(context: context) }
        }
    }

    private func start(_ head: HTTPRequestHead, context: ChannelHandlerContext) {
        let state = ExchangeState(head: head)
        exchange = state
        driver.handle(.requestStarted(hasBody: state.body != .none, awaitsContinue: state.expectsContinue))
        let encodings = head.headers[canonicalForm: "transfer-encoding"]
        if !encodings.isEmpty, encodings.count != 1 || encodings[0].lowercased() != "chunked" {
            refuse(.unknownTransferEncoding)
            return
        }
        if !state.isHTTP10, head.headers["host"].count != 1 {
            refuse(.invalid("A request names its host exactly once."))
            return
        }
        if state.body != .none {
            isReceiving = true
            driver.prepareToReceive()
        }
        forward(head, hasBody: state.body != .none, context: context)
    }

    private func parserFailed(_ error: any Error, context: ChannelHandlerContext) {
        guard let current = exchange else {
            // A client that just went away in the middle of a head gets no answer.
            if case HTTPParserError.invalidEOFState = error {
                driver.close()
            } else {
                refuse(ConnectionRefusal(error))
            }
            return
        }
        exchange?.mustClose = true
        if !current.requestComplete {
            if case HTTPParserError.invalidEOFState = error {
                context.fireErrorCaught(ConnectionError.bodyTruncated)
            } else {
                context.fireErrorCaught(error)
            }
        }
    }

    private func inputClosed(context: ChannelHandlerContext) {
        isInputClosed = true
        tellDeparture()
        context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        if exchange == nil { beginClose(context: context) }
    }

    /// Hands on what waited: one request, up to the next head.
    func replay(context: ChannelHandlerContext) {
        replaying: while let next = held.first, !isClosing, !isDeciding {
            switch next {
            case .part(let part):
                if case .head = part, exchange != nil { break replaying }
                held.removeFirst()
                deliver(part, context: context)
            case .error(let error):
                held.removeFirst()
                parserFailed(error, context: context)
            case .inputClosed:
                held.removeFirst()
                inputClosed(context: context)
            }
        }
        context.fireChannelReadComplete()
        if held.isEmpty, !isDeciding, isReadHeld {
            isReadHeld = false
            read(context: context)
        }
    }
}
