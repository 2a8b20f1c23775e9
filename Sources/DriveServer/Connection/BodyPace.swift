/// Measures how fast a request body arrives, in time during which the server asked for bytes.
///
/// Back-pressure of the server stops this clock, so a slow disk is never held against the client, while a client cannot
/// stop it: sending a burst buys only the moment in which the burst is processed.
struct BodyPace<Instant: InstantProtocol & Sendable>: Sendable where Instant.Duration == Duration {
    private struct Mark {
        var bytes = 0
        var time = Duration.zero
    }

    private var demandedSince: Instant?
    private var demandTime = Duration.zero
    private var bytes = 0
    /// The last time at which the number of bytes was seen to have grown.
    private var progress = Mark()
    /// The window slides in halves: a verdict looks at what came since `older`, at least one window ago.
    private var older = Mark()
    private var newer = Mark()

    /// Counts body bytes. No clock: this runs for every part.
    mutating func received(_ count: Int) {
        bytes += count
    }

    /// The server asks for bytes from now on.
    mutating func demand(at now: Instant) {
        if demandedSince == nil { demandedSince = now }
    }

    /// The server got bytes and has not asked for more yet.
    mutating func pause(at now: Instant) {
        guard let since = demandedSince else { return }
        demandTime += since.duration(to: now)
        demandedSince = nil
        noteProgress(at: demandTime)
    }

    /// - Returns: why the body must not go on, nil where its pace is fine.
    mutating func verdict(at now: Instant, policy: ConnectionPolicy) -> ConnectionCloseReason? {
        let elapsed = demandTime + (demandedSince?.duration(to: now) ?? .zero)
        noteProgress(at: elapsed)
        if elapsed - progress.time >= policy.bodyStallTimeout { return .bodyStalled }
        guard policy.minimumBodyRate > 0, elapsed - newer.time >= policy.minimumBodyRateWindow / 2 else { return nil }
        let span = elapsed - older.time
        if span >= policy.minimumBodyRateWindow {
            let least = Double(policy.minimumBodyRate) * (span / .seconds(1))
            if Double(bytes - older.bytes) < least { return .bodyTooSlow }
        }
        older = newer
        newer = Mark(bytes: bytes, time: elapsed)
        return nil
    }

    /// When the next verdict is due if no byte comes; nil while the server does not ask for bytes.
    func deadline(policy: ConnectionPolicy) -> Instant? {
        guard let since = demandedSince else { return nil }
        var rest = policy.bodyStallTimeout - (demandTime - progress.time)
        if policy.minimumBodyRate > 0 {
            rest = min(rest, policy.minimumBodyRateWindow / 2 - (demandTime - newer.time))
        }
        return since.advanced(by: max(rest, .zero))
    }

    private mutating func noteProgress(at time: Duration) {
        guard bytes != progress.bytes else { return }
        progress = Mark(bytes: bytes, time: time)
    }
}
