import HTTPTypes
import NIOCore
import NIOHTTPTypes
import Synchronization

/// The inbound parts of one connection: request heads for the loop, body bytes for the handler of the current request.
///
/// The iterator of a channel belongs to one task at a time. A handler can leak its body to a task that outlives it, so
/// every read claims the iterator first, and only for the request it belongs to.
///
/// `@unchecked Sendable`: `iterator` is the only member that is not Sendable by itself, and it is used only between
/// `claim` and `release`, which the mutex grants to one reader at a time.
final class RequestParts: @unchecked Sendable {
    typealias Inbound = NIOAsyncChannelInboundStream<HTTPRequestPart>.AsyncIterator
    typealias Outbound = NIOAsyncChannelOutboundWriter<HTTPResponsePart>

    private struct State {
        /// Counts requests; a body carries the number of its own.
        var request = 0
        var isReading = false
        var isComplete = true
        var owesContinue = false
        var trailers: HTTPFields?
    }

    private let iterator: Inbound
    private let outbound: Outbound
    private let state = Mutex(State())

    init(_ iterator: sending Inbound, outbound: Outbound) {
        self.iterator = iterator
        self.outbound = outbound
    }

    /// The next request's head and number, nil where the connection has ended.
    func nextHead() async throws -> (number: Int, head: HTTPRequest)? {
        var iterator = self.iterator
        guard case .head(let head) = try await iterator.next() else { return nil }
        let number = state.withLock { state in
            state.request += 1
            state.isComplete = false
            state.owesContinue = head.headerFields[.expect]?.lowercased() == "100-continue"
            state.trailers = nil
            return state.request
        }
        return (number, head)
    }

    /// The next bytes of the body, nil at its end.
    ///
    /// The first call sends `100 Continue` where the client waits for it (RFC 9110 §10.1.1).
    /// - Throws: ``ConnectionError``, or the parser's error.
    func nextBytes(of request: Int) async throws -> ByteBuffer? {
        guard try claim(request) else { return nil }
        defer { release() }
        if takeContinue() { try await outbound.write(.head(HTTPResponse(status: .continue))) }
        var iterator = self.iterator
        switch try await iterator.next() {
        case .body(let bytes):
            return bytes
        case .end(let trailers):
            complete(trailers)
            return nil
        case .head, nil:
            // A cut-off body must never pass for a whole one.
            try Task.checkCancellation()
            throw ConnectionError.bodyTruncated
        }
    }

    /// Ends a request that was answered: takes the body from its readers and throws the rest away.
    /// - Returns: whether another request may follow.
    func finish(_ request: Int) async throws -> Bool {
        let isFree = state.withLock { state in
            if state.isReading { return false }
            state.request += 1
            return true
        }
        // A task left behind is still waiting for bytes: nobody can tell where the next request begins.
        guard isFree else { return false }
        if state.withLock({ $0.isComplete }) { return true }
        var iterator = self.iterator
        while let part = try await iterator.next() {
            if case .end = part { return true }
        }
        return false
    }

    func trailers(of request: Int) -> HTTPFields? {
        state.withLock { $0.request == request ? $0.trailers : nil }
    }

    func isCurrent(_ request: Int) -> Bool {
        state.withLock { $0.request == request }
    }

    /// Whether the request is the current one, and its body was not read to the end.
    func isReadable(_ request: Int) -> Bool {
        state.withLock { $0.request == request && !$0.isComplete }
    }

    /// - Returns: false where the body has been read to its end.
    private func claim(_ request: Int) throws -> Bool {
        try state.withLock { state in
            guard state.request == request else { throw ConnectionError.requestOver }
            guard !state.isReading else { throw ConnectionError.concurrentRead }
            if state.isComplete { return false }
            state.isReading = true
            return true
        }
    }

    private func release() {
        state.withLock { $0.isReading = false }
    }

    private func complete(_ trailers: HTTPFields?) {
        state.withLock { state in
            state.isComplete = true
            state.trailers = trailers
        }
    }

    private func takeContinue() -> Bool {
        state.withLock { state in
            defer { state.owesContinue = false }
            return state.owesContinue
        }
    }
}

/// The body of one request as Hummingbird takes it. One reader at a time; a second iterator goes on where the first stopped.
struct RequestBytes: AsyncSequence, Sendable {
    let parts: RequestParts
    let request: Int

    struct AsyncIterator: AsyncIteratorProtocol {
        let parts: RequestParts
        let request: Int

        mutating func next() async throws -> ByteBuffer? {
            try await parts.nextBytes(of: request)
        }
    }

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(parts: parts, request: request)
    }
}
