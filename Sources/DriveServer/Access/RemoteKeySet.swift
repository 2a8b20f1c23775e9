import DriveModel
import Logging
import Synchronization

/// The keys of one external issuer, fetched from its address and kept for a while.
///
/// At most one fetch runs at a time and the next begins ``Timing/refetchInterval`` after its end at the earliest, whatever
/// tokens arrive. An outage is logged when it begins and when it is over, whatever happens in between.
final class RemoteKeySet: Sendable {
    struct Timing: Sendable {
        /// How long fetched keys are used without asking again.
        var lifetime: Duration = .seconds(600)
        /// How long they are used where the issuer does not answer.
        var outageTolerance: Duration = .seconds(3600)
        /// The least time between two fetches; shorter than ``lifetime``.
        var refetchInterval: Duration
        /// How long one fetch may take.
        var timeout: Duration = .seconds(5)
        var maximumBytes = 256 * 1024
    }

    private struct State {
        var keys: KeySet?
        /// When the fetch of `keys` began.
        var fetchedAt: Duration = .zero
        /// When the last fetch ended.
        var attemptedAt: Duration?
        /// When the first of the failed fetches ended; nil: the last fetch went well.
        var outageBegan: Duration?
        /// Grows when the keys change, so that tokens verified with older ones are verified again.
        var generation = 0
        var flight: Flight<Void>?
    }

    private enum Step {
        case found(VerificationKey, generation: Int)
        case unknown
        case unavailable(retryAfter: Duration)
        case wait(Flight<Void>)
        case fetch(Flight<Void>)
    }

    private let url: String
    private let algorithms: [VerificationKey.Algorithm]
    private let fetcher: any KeySetFetcher
    private let timing: Timing
    private let time: MonotonicTime
    private let logger: Logger
    private let state = Mutex(State())

    init(
        url: String, algorithms: [VerificationKey.Algorithm], fetcher: any KeySetFetcher, timing: Timing, time: MonotonicTime,
        logger: Logger
    ) {
        self.url = url
        self.algorithms = algorithms
        self.fetcher = fetcher
        self.timing = timing
        self.time = time
        self.logger = logger
    }

    /// The key named `id`, and the generation of keys it belongs to.
    ///
    /// Throws `unauthenticated` for an unknown key, and `ISSUER_UNAVAILABLE` (503) where the keys cannot be had now.
    func key(_ id: String?) async throws(DriveError) -> (VerificationKey, generation: Int) {
        while true {
            switch step(id) {
            case .found(let key, let generation): return (key, generation)
            case .unknown: throw TokenFault.unknownKey.error
            case .unavailable(let delay): throw Self.unavailable(retryAfter: delay)
            case .wait(let flight): try await flight.wait()
            case .fetch(let flight):
                Task { await self.fetch(flight) }
                try await flight.wait()
            }
        }
    }

    /// Whether a token verified with keys of `generation` needs no new look.
    func isCurrent(_ generation: Int) -> Bool {
        let now = time.now()
        return state.withLock { $0.generation == generation && now - $0.fetchedAt < timing.lifetime }
    }

    private func step(_ id: String?) -> Step {
        let now = time.now()
        return state.withLock { state in
            let key = state.keys?.key(id)
            let age = now - state.fetchedAt
            if let key, age < timing.lifetime { return .found(key, generation: state.generation) }
            if let flight = state.flight { return .wait(flight) }
            guard let attempted = state.attemptedAt, now - attempted < timing.refetchInterval else {
                let flight = Flight<Void>(startedAt: now)
                state.flight = flight
                return .fetch(flight)
            }
            // It is too early to ask again.
            if let key, age < timing.outageTolerance { return .found(key, generation: state.generation) }
            return state.outageBegan == nil ? .unknown : .unavailable(retryAfter: attempted + timing.refetchInterval - now)
        }
    }

    private func fetch(_ flight: Flight<Void>) async {
        do {
            let body = try await fetcher.fetch(url: url, maximumBytes: timing.maximumBytes, timeout: timing.timeout)
            guard body.count <= timing.maximumBytes, let keys = await KeySet(json: body, allowed: algorithms), !keys.isEmpty else {
                throw Unusable()
            }
            succeeded(flight, keys: keys)
        } catch {
            failed(error)
        }
        flight.complete(.success(()))
    }

    private func succeeded(_ flight: Flight<Void>, keys: KeySet) {
        let now = time.now()
        let outageBegan = state.withLock { state in
            if state.keys?.hasSameKeys(as: keys) != true { state.generation += 1 }
            state.keys = keys
            state.fetchedAt = flight.startedAt
            state.attemptedAt = now
            state.flight = nil
            defer { state.outageBegan = nil }
            return state.outageBegan
        }
        guard let outageBegan else { return }
        logger.notice(
            "an issuer's keys can be fetched again", metadata: ["url": "\(url)", "seconds": "\(Int((now - outageBegan).inSeconds))"])
    }

    private func failed(_ error: any Error) {
        let now = time.now()
        let isFirst = state.withLock { state in
            state.attemptedAt = now
            state.flight = nil
            guard state.outageBegan == nil else { return false }
            state.outageBegan = now
            return true
        }
        // Tokens start the fetches, forged ones too: what they can repeat must not fill the log.
        let message: Logger.Message = isFirst ? "an issuer's keys cannot be fetched" : "an issuer's keys still cannot be fetched"
        logger.log(level: isFirst ? .warning : .debug, message, metadata: ["url": "\(url)", "error": "\(error)"])
    }

    private struct Unusable: Error, CustomStringConvertible {
        var description: String { "the reply is too long, no key set, or has no key that may be used" }
    }

    private static func unavailable(retryAfter: Duration) -> DriveError {
        DriveError(
            .issuerUnavailable, "The keys of the token's issuer cannot be fetched now. Try again.",
            retryAfter: max(1, Int(retryAfter.inSeconds.rounded(.up))))
    }
}

extension DriveError.Code {
    /// The keys that the token needs cannot be had now.
    static let issuerUnavailable = Self("ISSUER_UNAVAILABLE", .unavailable)
}
