import DriveEvents
import DriveModel
import Foundation
import Logging
import NIOCore

/// A client's stream of events over its WebSocket: signs it in, answers what it asks, and sends what happens as fast as it
/// reads. Confined to the connection's event loop.
final class LiveConversation: WebSocketApplication {
    /// Messages that wait while one is being answered.
    private static let mostWaiting = 64
    /// The same of who is not signed in yet: each may have 64 KiB, and a token's issuer may take seconds to be asked.
    private static let mostWaitingOfStranger = 4
    /// Events taken at once.
    private static let portion = 64

    private let services: Services
    private let eventLoop: any EventLoop
    private let loop: LiveLoop
    private let address: AddressKey
    private var token: String?
    private let options: LiveOptions
    private weak var connection: WebSocketConnection?
    private var identity: Identity?
    private var session: Int?
    private var subscription: EventSubscription?
    private var waiting: [LiveRequest] = []
    private var isBusy = false
    /// Somebody looks at the screen.
    private var isForeground = false
    /// Where the client is otherwise.
    private var places: [PresencePlace] = []
    private var hasEnded = false

    /// - Parameters:
    ///   - token: of the handshake, already verified once; nil: a message brings it.
    ///   - options: of the handshake; what the message says outweighs them.
    init(services: Services, address: AddressKey, token: String?, options: LiveOptions, loop: LiveLoop, eventLoop: any EventLoop) {
        self.services = services
        self.loop = loop
        self.address = address
        self.token = token
        self.options = options
        self.eventLoop = eventLoop
    }

    // MARK: The connection's side

    func opened(_ connection: WebSocketConnection) {
        self.connection = connection
        guard let token else { return }
        self.token = nil
        signIn(token, options, isCounted: true)
    }

    func received(text: ByteBuffer) {
        do throws(DriveError) {
            let request = try LiveRequest(text, otherwise: options)
            if request == .ping { return send(LivePackets.pong) }
            guard identity != nil || isAuth(request) || isBusy else {
                throw DriveError(.unauthenticated, #"Sign in first: {"type":"auth","token":"…"}."#, details: ["rule": "authorization"])
            }
            guard waiting.count < (identity == nil ? Self.mostWaitingOfStranger : Self.mostWaiting) else {
                connection?.close(.tooManyFrames, reason: "too many messages at once")
                return
            }
            if isBusy { waiting.append(request) } else { answer(request) }
        } catch {
            send(LivePackets.error(error))
        }
    }

    func received(binary: ByteBuffer) {}

    func becameWritable() { drain() }

    func ended() {
        hasEnded = true
        waiting = []
        if let session { services.live.sessions.remove(session) }
        if let subscription { services.live.hub.remove(subscription) }
        setForeground(false)
        for place in places { leave(place) }
        (session, subscription, places) = (nil, nil, [])
    }

    // MARK: Answers

    private func isAuth(_ request: LiveRequest) -> Bool {
        if case .auth = request { true } else { false }
    }

    private func answer(_ request: LiveRequest) {
        switch request {
        case .ping: send(LivePackets.pong)
        case .presence(let isForeground): setForeground(isForeground)
        case .auth(let token, let options): signIn(token, options)
        case .subscribe(let filter):
            guard let known = identity else { return }
            work { [services] in
                try await services.live.checkOwned(filter, by: known)
                let packet = try LivePackets.packet("subscribed", LivePackets.Subscribed(filter))
                return { conversation in
                    conversation.subscription?.setFilter(filter)
                    conversation.send(packet)
                }
            }
        }
    }

    /// - Parameter isCounted: the handshake with this token counted for the account.
    private func signIn(_ token: String, _ options: LiveOptions, isCounted: Bool = false) {
        let (services, address, known) = (services, address, identity)
        let (eventLoop, bound) = (eventLoop, NIOLoopBound(self, eventLoop: eventLoop))
        work {
            let identity = try await SignIn.identity(of: token, from: address, isCounted: isCounted, services: services)
            guard case .account = identity.kind else {
                throw DriveError(.forbidden, "Events are for account tokens.", details: ["rule": "token"])
            }
            if let known {
                guard known.accountId == identity.accountId else {
                    throw DriveError(
                        .forbidden, "This connection is another account's; open one of its own.", details: ["rule": "account"])
                }
                return { $0.renew(identity) }
            }
            let warning = try await services.ring.warning(device: options.deviceId, of: identity.accountId)
            var joined = try await services.live.join(identity, options) { eventLoop.execute { bound.value.drain() } }
            joined.ready.warn(warning)
            return { [joined] in $0.begin(identity, joined) }
        }
    }

    /// Does something that takes a while, one thing at a time; what it returns is done on the event loop.
    private func work(_ body: @escaping @Sendable () async throws -> @Sendable (LiveConversation) -> Void) {
        isBusy = true
        let (eventLoop, bound) = (eventLoop, NIOLoopBound(self, eventLoop: eventLoop))
        Task {
            let finish: @Sendable (LiveConversation) -> Void
            do {
                finish = try await body()
            } catch {
                let mapped = ErrorMapping.driveError(error)
                finish = { $0.failed(mapped) }
            }
            eventLoop.execute {
                finish(bound.value)
                bound.value.next()
            }
        }
    }

    private func next() {
        isBusy = false
        while !isBusy, !waiting.isEmpty, !hasEnded { answer(waiting.removeFirst()) }
        connection?.flush()
    }

    private func begin(_ identity: Identity, _ joined: LiveService.Joined) {
        guard !hasEnded, let connection else { return services.live.hub.remove(joined.subscription) }
        self.identity = identity
        let (eventLoop, bound) = (eventLoop, NIOLoopBound(self, eventLoop: eventLoop))
        session = services.live.sessions.add(identity) { error in eventLoop.execute { bound.value.close(error) } }
        // When the token runs out is the sessions' to tell, with the reason.
        connection.signedIn()
        do {
            send(try LivePackets.packet("ready", joined.ready))
            if let snapshot = joined.snapshot { send(try LivePackets.packet("snapshot", snapshot)) }
        } catch {
            services.logger.error("a snapshot cannot be encoded", metadata: ["error": "\(error)"])
            connection.close(.internalError, reason: "the snapshot cannot be sent")
        }
        guard !hasEnded else { return services.live.hub.remove(joined.subscription) }
        subscription = joined.subscription
        places = services.ring.places(device: joined.subscription.device)
        for place in places { services.ring.presence.enter(identity.accountId, place) }
        drain()
    }

    private func leave(_ place: PresencePlace) {
        guard let account = identity?.accountId else { return }
        services.ring.presence.leave(account, place)
    }

    /// Counted once per connection, whatever its client repeats.
    private func setForeground(_ value: Bool) {
        guard let account = identity?.accountId, value != isForeground else { return }
        isForeground = value
        if value { services.ring.presence.enter(account) } else { services.ring.presence.leave(account) }
    }

    private func renew(_ identity: Identity) {
        self.identity = identity
        if let session { services.live.sessions.renew(session, with: identity) }
        guard let subscription else { return }
        // What waits for it still follows: who comes back with this number gets it.
        let ready = LivePackets.Ready(
            account: identity.accountId, sequence: subscription.taken, latest: services.live.hub.latest(for: subscription),
            beginning: .resumed, filter: .all)
        if let packet = try? LivePackets.packet("ready", ready) { send(packet) }
    }

    /// A refused sign-in ends the connection; anything else is told, and it goes on.
    private func failed(_ error: DriveError) {
        if identity == nil || error.code.category == .unauthenticated { close(error) } else { send(LivePackets.error(error)) }
    }

    private func close(_ error: DriveError) {
        send(LivePackets.error(error))
        let code: WebSocketCloseCode =
            switch error.code.category {
            case .unauthenticated: .unauthorized
            case .refused: error.code == .accountDisabled ? .unauthorized : .forbidden
            case .tooManyRequests: .tooManyFrames
            case .unavailable, .internalFailure: .tryAgainLater
            default: .policyViolation
            }
        connection?.close(code, reason: error.message)
    }

    // MARK: Events

    /// Sends what waits, while the peer reads.
    private func drain() {
        guard let subscription, let connection else { return }
        while connection.isWritable {
            let events = services.live.hub.take(subscription, atMost: Self.portion)
            for event in events { connection.send(loop.message(for: event, of: subscription.account)) }
            if subscription.isLost { connection.close(.tryAgainLater, reason: "events it had not read were removed; come back") }
            if events.count < Self.portion { break }
        }
        connection.flush()
    }

    private func send(_ packet: String) { connection?.send(WebSocketMessage(packet)) }
}
