/// Decides what a WebSocket does as time passes and frames arrive: a value without I/O, told what happened and when.
///
/// The owner keeps one timer, set to ``nextDeadline`` after each call.
struct WebSocketLifeCycle: Sendable {
    struct Policy: Hashable, Sendable {
        /// From the opening handshake to the sign-in.
        var signInTimeout = Duration.seconds(10)
        /// The server pings after so much silence of the peer, and again after as much.
        var pingInterval = Duration.seconds(30)
        /// A peer that let nothing hear for so long is gone.
        var peerTimeout = Duration.seconds(60)
        /// From a close frame to the end of the connection.
        var closeTimeout = Duration.seconds(5)
        /// Frames of the peer, of any kind; nil for no limit.
        var frames = RateLimit(perSecond: 20, burst: 200)
    }

    enum Event: Hashable, Sendable {
        /// A frame arrived; told before it is read.
        case frameArrived
        /// The account is known. How long its token is good is not this rule's affair.
        case signedIn
        /// The peer's close frame.
        case peerClosed(WebSocketCloseCode?)
        /// The server wants to close: a violation, a token that was refused or revoked, a stop.
        case close(WebSocketCloseCode, reason: String)
        /// The timer.
        case timePassed
    }

    enum Action: Hashable, Sendable {
        case sendPing
        /// From here on nothing else is sent.
        case sendClose(WebSocketCloseCode?, reason: String)
        /// Close the connection once all that was sent is out. A server closes first (RFC 6455 §7.1.1).
        case closeWhenWritten
        /// Close the connection now, whatever waits to be sent.
        case drop
    }

    private enum Phase: Hashable, Sendable {
        case open
        /// Our close frame is out, the peer's has not come.
        case closing(until: ContinuousClock.Instant)
        /// Both close frames are there; ours may still wait for the socket.
        case finishing(until: ContinuousClock.Instant)
        case ended
    }

    private let policy: Policy
    private let start: ContinuousClock.Instant
    private var phase = Phase.open
    private var signInDeadline: ContinuousClock.Instant?
    private var heardAt: ContinuousClock.Instant
    private var pingedAt: ContinuousClock.Instant?
    private var bucket: TokenBucket?

    init(policy: Policy = Policy(), openedAt now: ContinuousClock.Instant) {
        self.policy = policy
        start = now
        signInDeadline = now + policy.signInTimeout
        heardAt = now
        bucket = policy.frames.map { TokenBucket(limit: $0, at: .zero) }
    }

    /// While true, messages are read and sent. Afterwards what arrives is thrown away, but for the peer's close frame.
    var isOpen: Bool { phase == .open }

    /// When ``Event/timePassed`` is due; nil once the connection has ended.
    var nextDeadline: ContinuousClock.Instant? {
        switch phase {
        case .open: [pingDue, heardAt + policy.peerTimeout, signInDeadline].compactMap(\.self).min()
        case .closing(let until), .finishing(let until): until
        case .ended: nil
        }
    }

    mutating func handle(_ event: Event, now: ContinuousClock.Instant) -> [Action] {
        switch (phase, event) {
        case (.ended, _): return []
        case (.finishing(let until), _), (.closing(let until), .timePassed):
            return now >= until ? end() : []
        case (.closing, .peerClosed):
            phase = .finishing(until: now + policy.closeTimeout)
            return [.closeWhenWritten]
        case (.closing, _): return []
        case (.open, .frameArrived): return heard(now)
        case (.open, .signedIn):
            signInDeadline = nil
            return timePassed(now)
        case (.open, .peerClosed(let code)):
            phase = .finishing(until: now + policy.closeTimeout)
            return [.sendClose(code, reason: ""), .closeWhenWritten]
        case (.open, .close(let code, let reason)): return close(code, reason, now)
        case (.open, .timePassed): return timePassed(now)
        }
    }

    /// The next ping, counted from the last sign of life or the last ping.
    private var pingDue: ContinuousClock.Instant { max(heardAt, pingedAt ?? heardAt) + policy.pingInterval }

    private mutating func heard(_ now: ContinuousClock.Instant) -> [Action] {
        heardAt = now
        let elapsed = now - start
        guard let limit = policy.frames, case .limited? = bucket?.take(at: elapsed, limit: limit) else { return [] }
        return close(.tooManyFrames, "too many frames", now)
    }

    private mutating func timePassed(_ now: ContinuousClock.Instant) -> [Action] {
        // Nobody is there to read a close frame.
        if now >= heardAt + policy.peerTimeout { return end() }
        if let signInDeadline, now >= signInDeadline { return close(.signInTimeout, "no sign-in", now) }
        guard now >= pingDue else { return [] }
        pingedAt = now
        return [.sendPing]
    }

    private mutating func close(_ code: WebSocketCloseCode, _ reason: String, _ now: ContinuousClock.Instant) -> [Action] {
        phase = .closing(until: now + policy.closeTimeout)
        return [.sendClose(code, reason: reason)]
    }

    private mutating func end() -> [Action] {
        phase = .ended
        return [.drop]
    }
}
