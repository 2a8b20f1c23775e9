/// Why the server ended a connection, for logs and metrics.
package enum ConnectionCloseReason: String, Hashable, Sendable {
    case headTimeout, idleTimeout, bodyStalled, bodyTooSlow, writeStalled, drainTimeout
    /// The client did not close its side in time after the last answer, or sent too much.
    case lingerTimeout, lingerLimit
    /// An idle connection when the server stops, and a busy one at the deadline of the stop.
    case stopping, stopDeadline
}

/// Decides when a connection has waited long enough: a value without I/O, told what happened and when.
///
/// The owner keeps at most one timer, set to ``wakeUp(after:)``. That instant is never later than any deadline a later
/// event can bring while nothing asks to `rearm`, so that the timer need not be moved request by request.
struct ConnectionGuard<Instant: InstantProtocol & Sendable>: Sendable where Instant.Duration == Duration {
    enum Ending: Sendable {
        /// The next request may come.
        case keepAlive
        /// The answer is out; a bounded rest of the request body is still to be read.
        case drain
        /// The connection closes as soon as what was written has been sent.
        case close
    }

    enum Event: Sendable {
        /// A byte arrived while the guard ``awaitsRequest``.
        case firstByte
        case requestStarted(hasBody: Bool, awaitsContinue: Bool)
        /// `100 Continue` was sent: from here on the client owes the body.
        case continueSent
        case bodyComplete
        case readsDemanded
        case readsSatisfied
        case responseComplete(Ending)
        /// Everything was sent and the sending side closed.
        case outputClosed
        /// Bytes of a closing connection that nobody reads.
        case discarded(Int)
        /// The timer. `written` counts all bytes ever written, `buffered` those that wait for the socket.
        case timer(written: Int, buffered: Int)
        case quiesce
        case upgraded
        case closed
    }

    enum Action: Hashable, Sendable {
        case none
        /// The deadline came nearer: ask ``ConnectionGuard/wakeUp(after:)`` again.
        case rearm
        /// Close now, without waiting for anything.
        case close(ConnectionCloseReason)
        /// Answer `408` and close: part of a request head arrived.
        case refuse(ConnectionCloseReason)
        /// Let the reader of the body fail; if no answer follows soon, a `close` does.
        case abortBody(ConnectionCloseReason)
    }

    private enum Phase: Hashable, Sendable {
        case awaitingRequest(since: Instant, first: Bool)
        case receivingHead(since: Instant)
        case exchange
        case aborting(since: Instant, ConnectionCloseReason)
        case draining(since: Instant)
        case flushing
        case lingering(since: Instant, discarded: Int)
        case upgraded
        case closed
    }

    private let policy: ConnectionPolicy
    private var phase: Phase
    private var pace = BodyPace<Instant>()
    private var bodyOpen = false
    private var readsOutstanding = false
    private var stopSince: Instant?
    private var sentBytes = 0
    private var sendingSince: Instant?

    init(policy: ConnectionPolicy, acceptedAt now: Instant) {
        self.policy = policy
        self.phase = .awaitingRequest(since: now, first: true)
    }

    /// True until the first byte of a request: only then is ``Event/firstByte`` of interest.
    var awaitsRequest: Bool {
        if case .awaitingRequest = phase { true } else { false }
    }

    /// True while ``Event/readsDemanded`` and ``Event/readsSatisfied`` are of interest.
    var measuresBody: Bool { bodyOpen }
    /// A stop was announced: every answer is the connection's last.
    var isStopping: Bool { stopSince != nil }
    var isClosed: Bool { phase == .closed }

    /// Counts body bytes; runs for every part, so it reads no clock.
    mutating func received(bodyBytes: Int) {
        pace.received(bodyBytes)
    }

    mutating func handle(_ event: Event, at now: Instant) -> Action {
        if phase == .closed { return .none }
        switch event {
        case .firstByte:
            guard case .awaitingRequest(let since, let first) = phase else { return .none }
            phase = .receivingHead(since: first ? since : now)
        case .requestStarted(let hasBody, let awaitsContinue):
            phase = .exchange
            pace = BodyPace()
            bodyOpen = hasBody && !awaitsContinue
            if bodyOpen, readsOutstanding { pace.demand(at: now) }
        case .continueSent:
            guard case .exchange = phase, !bodyOpen else { return .none }
            bodyOpen = true
            if readsOutstanding { pace.demand(at: now) }
        case .bodyComplete:
            bodyOpen = false
        case .readsDemanded:
            readsOutstanding = true
            if bodyOpen { pace.demand(at: now) }
        case .readsSatisfied:
            readsOutstanding = false
            if bodyOpen { pace.pause(at: now) }
        case .responseComplete(let ending):
            return finishResponse(ending, at: now)
        case .outputClosed:
            phase = .lingering(since: now, discarded: 0)
            return .rearm
        case .discarded(let count):
            guard case .lingering(let since, let sofar) = phase else { return .none }
            phase = .lingering(since: since, discarded: sofar + count)
            if sofar + count > policy.lingerLimit { return close(.lingerLimit) }
        case .timer(let written, let buffered):
            return evaluate(written: written, buffered: buffered, at: now)
        case .quiesce:
            guard stopSince == nil else { return .none }
            stopSince = now
            return awaitsRequest ? close(.stopping) : .rearm
        case .upgraded:
            phase = .upgraded
            bodyOpen = false
        case .closed:
            phase = .closed
        }
        return .none
    }

    /// The next instant at which ``Event/timer(written:buffered:)`` has to be handled; nil once closed.
    func wakeUp(after now: Instant) -> Instant? {
        if phase == .closed { return nil }
        // No state entered later without `rearm` can have a deadline nearer than this.
        var shortest = min(policy.headTimeout, policy.idleTimeout, policy.bodyStallTimeout, policy.writeStallTimeout)
        if policy.minimumBodyRate > 0 { shortest = min(shortest, policy.minimumBodyRateWindow / 2) }
        var wake = now.advanced(by: shortest)
        if let phaseDeadline { wake = min(wake, phaseDeadline) }
        if let stopSince { wake = min(wake, stopSince.advanced(by: policy.gracefulStopDeadline)) }
        if let sendingSince { wake = min(wake, sendingSince.advanced(by: policy.writeStallTimeout)) }
        return wake
    }
}

extension ConnectionGuard {
    private var phaseDeadline: Instant? {
        switch phase {
        case .awaitingRequest(let since, true), .receivingHead(let since): since.advanced(by: policy.headTimeout)
        case .awaitingRequest(let since, false): since.advanced(by: policy.idleTimeout)
        case .exchange: bodyOpen ? pace.deadline(policy: policy) : nil
        case .aborting(let since, _), .draining(let since), .lingering(let since, _): since.advanced(by: policy.lingerTimeout)
        case .flushing, .upgraded, .closed: nil
        }
    }

    private mutating func finishResponse(_ ending: Ending, at now: Instant) -> Action {
        switch ending {
        case .keepAlive:
            bodyOpen = false
            if isStopping { return close(.stopping) }
            phase = .awaitingRequest(since: now, first: false)
            return .none
        case .drain:
            phase = .draining(since: now)
            return .rearm
        case .close:
            bodyOpen = false
            phase = .flushing
            return .none
        }
    }

    private mutating func evaluate(written: Int, buffered: Int, at now: Instant) -> Action {
        if let stopSince, now >= stopSince.advanced(by: policy.gracefulStopDeadline) { return close(.stopDeadline) }
        if isWriteStalled(written: written, buffered: buffered, at: now) { return close(.writeStalled) }
        if phase == .exchange {
            guard bodyOpen, let reason = pace.verdict(at: now, policy: policy) else { return .none }
            bodyOpen = false
            phase = .aborting(since: now, reason)
            return .abortBody(reason)
        }
        guard let phaseDeadline, now >= phaseDeadline else { return .none }
        switch phase {
        case .awaitingRequest(_, true): return close(.headTimeout)
        case .awaitingRequest(_, false): return close(.idleTimeout)
        case .receivingHead:
            phase = .flushing
            return .refuse(.headTimeout)
        case .aborting(_, let reason): return close(reason)
        case .draining: return close(.drainTimeout)
        case .lingering: return close(.lingerTimeout)
        case .exchange, .flushing, .upgraded, .closed: return .none
        }
    }

    private mutating func isWriteStalled(written: Int, buffered: Int, at now: Instant) -> Bool {
        let sent = written - buffered
        if buffered == 0 {
            sendingSince = nil
        } else if let since = sendingSince, sent == sentBytes {
            return now >= since.advanced(by: policy.writeStallTimeout)
        } else {
            sendingSince = now
        }
        sentBytes = sent
        return false
    }

    private mutating func close(_ reason: ConnectionCloseReason) -> Action {
        phase = .closed
        return .close(reason)
    }
}
