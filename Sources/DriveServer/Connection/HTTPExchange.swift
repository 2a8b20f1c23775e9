import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// What a handler can do with its connection beside reading the body and returning a response.
///
/// Bound to the task of the request: `HTTPExchange.current`. Trailers of a response need none of this: a
/// `ResponseBody` closure passes them to `finish(_:)` of its writer (the response must not have a `Content-Length`).
package final class HTTPExchange: Sendable {
    /// The exchange of the request this task answers, nil outside of one (and in tests without a connection).
    @TaskLocal package static var current: HTTPExchange?

    /// The connection. Its `closeFuture` tells that the client is gone.
    package let channel: any Channel
    private let parts: RequestParts
    private let request: Int
    private let outbound: RequestParts.Outbound

    init(channel: any Channel, parts: RequestParts, request: Int, outbound: RequestParts.Outbound) {
        self.channel = channel
        self.parts = parts
        self.request = request
        self.outbound = outbound
    }

    /// Sends an interim response (1xx, RFC 9110 §15.2) before the final one: 103 Early Hints, 104 Upload Resumption Supported.
    ///
    /// After the head of the final response, and to HTTP/1.0 clients, nothing is sent. `100` is sent by reading the body.
    /// - Throws: ``ConnectionError/requestOver`` after the request was answered, or where `status` is not informational
    ///   or is 101; the channel's error where the client is gone.
    package func writeInformational(_ status: HTTPResponse.Status, _ fields: HTTPFields = [:]) async throws {
        guard status.kind == .informational, status.code != 101, parts.isCurrent(request) else {
            throw ConnectionError.requestOver
        }
        try await outbound.write(.head(HTTPResponse(status: status, headerFields: fields)))
    }

    /// The trailer fields of the request, once its body was read to the end.
    package var requestTrailers: HTTPFields? {
        parts.trailers(of: request)
    }

    /// Makes the reader of the body fail with ``ConnectionError/bodyInterrupted``, once it has read what is here already.
    /// Nothing happens where the body was read to its end, or the request was answered. From any thread.
    package func interruptBody() {
        channel.eventLoop.execute { [self] in
            // On the loop, where requests begin and end: the next one of the connection is not meant.
            guard parts.isReadable(request) else { return }
            channel.pipeline.triggerUserOutboundEvent(BodyInterruption(), promise: nil)
        }
    }

    /// From now on an empty buffer comes in the body where bytes were read and no more have come for `period`, or so few
    /// that nobody may have written them.
    package func reportSilence(after period: Duration) {
        channel.pipeline.triggerUserOutboundEvent(SilenceReport(period: period), promise: nil)
    }
}

extension HTTPExchange {
    /// Runs `body`, in a Swift task of its own that is cancelled when the client goes away: its connection ends, or it sends
    /// its end of it (a request that was read whole, and whose sender hears nothing more of, is answered for nobody).
    package func cancellingOnDeparture<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) async throws -> Result {
        let task = Task { try await body() }
        channel.eventLoop.execute { [channel] in
            guard channel.isActive else { return task.cancel() }
            channel.pipeline.triggerUserOutboundEvent(DepartureReport(tell: { task.cancel() }), promise: nil)
        }
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }
}

/// Asks the connection to tell when the client goes away before it is answered.
struct DepartureReport: Sendable {
    let tell: @Sendable () -> Void
}

/// Asks the connection to end the body that is being read.
struct BodyInterruption: Sendable {}

/// Asks the connection to say when the body stands still.
struct SilenceReport: Sendable {
    let period: Duration
}
