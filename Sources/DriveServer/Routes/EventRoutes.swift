import DriveEvents
import DriveModel
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import ServiceLifecycle
import Synchronization

/// What happens to an account's files and tasks, as it happens.
enum EventRoutes {
    static let all: [Route] = [
        Route(.get, "/events", .stream, events),
        Route(.get, "/ws", .webSocket, webSocket),
    ]

    /// The same address without a prefix, as the spec's example has it.
    static let root: [Route] = [Route(.get, "/ws", .webSocket, webSocket)]

    /// Only what did not become a WebSocket comes here.
    @Sendable private static func webSocket(_ call: Call) async throws -> Response {
        _ = try LiveEntrance.options(of: call.request.uri)
        let refusal: WebSocketHandshake.Refusal
        do throws(WebSocketHandshake.Refusal) {
            _ = try WebSocketHandshake(method: call.request.method, fields: call.request.headers)
            // It was refused before it came here, and would not be now: a limit's next second, or a server that stops.
            return ErrorMapping.response(
                DriveError(.rateLimited, "The WebSocket could not be opened at that moment. Try again.", retryAfter: 1),
                requestId: call.requestId)
        } catch {
            refusal = error
        }
        guard refusal.status == .upgradeRequired else {
            throw DriveError(.invalidRequest, "No WebSocket can be opened: \(refusal.rawValue).", details: ["rule": "webSocket"])
        }
        let error = DriveError(
            .upgradeRequired, "Open a WebSocket here, or use /api/events: \(refusal.rawValue).", details: ["rule": "webSocket"])
        var response = ErrorMapping.response(error, requestId: call.requestId)
        for field in refusal.fields { response.headers[field.name] = field.value }
        return response
    }

    /// Server-Sent Events (WHATWG HTML §9.2): the WebSocket's stream for clients without one.
    @Sendable private static func events(_ call: Call) async throws -> Response {
        guard let identity = call.identity else { throw DriveError(.unauthenticated, "This route asks for a token.") }
        let options = try LiveEntrance.options(
            of: call.request.uri,
            lastEventId: call.request.headers[HTTPField.Name(known: "Last-Event-ID")])
        let stream = EventStream(live: call.services.live)
        try await stream.join(
            identity, options, warning: try await call.services.ring.warning(device: options.deviceId, of: identity.accountId))
        return Response(
            status: .ok,
            headers: [
                .contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-store",
                // Proxies that gather answers would hold events back.
                HTTPField.Name(known: "X-Accel-Buffering"): "no",
            ],
            body: ResponseBody { writer in try await stream.write(to: &writer) })
    }
}

/// One client's stream of Server-Sent Events.
private final class EventStream: Sendable {
    /// Between two signs that the stream lives.
    private static let keepAlive = Duration.seconds(15)
    private static let portion = 64

    private struct State: Sendable {
        var joined: LiveService.Joined?
        var session: Int?
        var end: DriveError?
    }

    private let live: LiveService
    private let signal = WakeSignal()
    private let state = Mutex(State())

    init(live: LiveService) {
        self.live = live
    }

    deinit { leave() }

    func join(_ identity: Identity, _ options: LiveOptions, warning: String?) async throws {
        var joined = try await live.join(identity, options) { [signal] in signal.signal() }
        joined.ready.warn(warning)
        let session = live.sessions.add(identity) { [weak self] error in
            self?.state.withLock { $0.end = error }
            self?.signal.signal()
        }
        state.withLock { [joined] state in
            state.joined = joined
            state.session = session
        }
    }

    private func leave() {
        let (joined, session) = state.withLock { state in
            defer { (state.joined, state.session) = (nil, nil) }
            return (state.joined, state.session)
        }
        if let session { live.sessions.remove(session) }
        if let joined { live.hub.remove(joined.subscription) }
    }

    func write(to writer: inout any ResponseBodyWriter) async throws {
        defer { leave() }
        guard let joined = state.withLock({ $0.joined }) else { return }
        try await writer.write(Self.event("ready", data: try DriveJSON.text(joined.ready)))
        if let snapshot = joined.snapshot { try await writer.write(Self.event("snapshot", data: try DriveJSON.text(snapshot))) }
        while true {
            let events = live.hub.take(joined.subscription, atMost: Self.portion)
            if !events.isEmpty {
                var buffer = ByteBuffer()
                for event in events { buffer.writeImmutableBuffer(Self.event(event.type, id: event.sequence, data: event.bareData)) }
                try await writer.write(buffer)
                continue
            }
            if let end = state.withLock({ $0.end }) ?? (joined.subscription.isLost ? Self.lost : nil)
                ?? (Task.isShuttingDownGracefully ? Self.stopping : nil)
            {
                try await writer.write(Self.event("closed", data: LivePackets.errorBody(end)))
                return try await writer.finish(nil)
            }
            let began = ContinuousClock.now
            await withGracefulShutdownHandler {
                await withTaskCancellationHandler {
                    await signal.wait(atMost: Self.keepAlive)
                } onCancel: {
                    signal.signal()
                }
            } onGracefulShutdown: { [signal] in
                signal.signal()
            }
            try Task.checkCancellation()
            if ContinuousClock.now - began >= Self.keepAlive { try await writer.write(ByteBuffer(string: ": keep-alive\n\n")) }
        }
    }

    private static let lost = DriveError(.eventsGone, "Events you had not read were removed; come back.", details: ["rule": "since"])
    private static let stopping = DriveError(.shuttingDown, "The server stops; come back.")

    /// - Parameter data: JSON text, which has no line ends.
    private static func event(_ type: String, id: Int64? = nil, data: String) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: data.utf8.count + type.utf8.count + 48)
        if let id { buffer.writeString("id: \(id)\n") }
        buffer.writeString("event: \(type)\ndata: \(data)\n\n")
        return buffer
    }
}
