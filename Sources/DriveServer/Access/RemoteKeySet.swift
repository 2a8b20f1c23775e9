import DriveModel
import Logging
import Synchronization

/// The keys of one external issuer, fetched from its address and kept for a while.
///
/// At most one fetch runs at a time and at most one begins in ``Timing/refetchInterval``, whatever tokens arrive.
final class RemoteKeySet: Sendable {
    struct Timing: Sendable {
        /// How long fetched keys are used without asking again.
        var lifetime: Duration = .seconds(600)
        /// How long they are used where the issuer does not answer.
        var outageTolerance: Duration = .seconds(3600)
        /// The least time between two fetches.
        var refetchInterval: Duration = .seconds(30)
        /// How long one fetch may take.
        var timeout: Duration = .seconds(5)
        var maximumBytes = 256 * 1024
    }

    private struct State {
        var keys: KeySet?
        var fetchedAt: Duration = .zero
        var attemptedAt: Duration?
        var failed = false
        /// Grows when the keys change, so that tokens verified with older ones are verified again.
        var generation = 0
        var flight: Flight<Void>?
    }

    private enum Step {
        case found(VerificationKey, generation: Int)
        case unknown, unavailable
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
        url: String, algorithms: [VerificationKey.Algorithm], fetcher: any KeySetFetcher, timing: Timing = Timing(),
        time: MonotonicTime, logger: Logger
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
            case .unavailable: throw Self.unavailable
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
                state.attemptedAt = now
                return .fetch(flight)
            }
            if let key, state.failed, age < timing.outageTolerance { return .found(key, generation: state.generation) }
            return state.failed || state.keys == nil ? .unavailable : .unknown
        }
    }

    private func fetch(_ flight: Flight<Void>) async {
        do {
            let body = try await fetcher.fetch(url: url, maximumBytes: timing.maximumBytes, timeout: timing.timeout)
            guard body.count <= timing.maximumBytes, let keys = await KeySet(json: body, allowed: algorithms), !keys.isEmpty else {
                throw Unusable()
            }
            state.withLock { state in
                if state.keys?.hasSameKeys(as: keys) != true { state.generation += 1 }
                state.keys = keys
                state.fetchedAt = flight.startedAt
                state.failed = false
                state.flight = nil
            }
        } catch {
            logger.warning("an issuer's keys could not be fetched", metadata: ["url": "\(url)", "error": "\(error)"])
            state.withLock { state in
                state.failed = true
                state.flight = nil
            }
        }
        flight.complete(.success(()))
    }

    private struct Unusable: Error, CustomStringConvertible {
        var description: String { "the reply is too long, no key set, or has no key that may be used" }
    }

    private static let unavailable = DriveError(
        .init("ISSUER_UNAVAILABLE", .unavailable), "The keys of the token's issuer cannot be fetched now. Try again.", retryAfter: 30)
}
