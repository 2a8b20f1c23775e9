import DriveCrypto
import DriveEvents
import DriveModel
import DriveStorage
import Foundation
import Synchronization

/// An upload that is open in this process: its file, its ledger, and how far its hash has come.
final class UploadSession: OpenUpload {
    typealias Ledger = ChunkLedger<ContinuousClock.Instant>

    struct State {
        var ledger: Ledger
        /// The whole file's digest over every byte before `frontier.byteCount`; all of them in kept chunks.
        var frontier: FileDigest
        /// Hashes kept chunks that arrived before the frontier reached them.
        var follower: Task<Void, Never>?
        /// Where the follower is, for progress.
        var verifiedBytes: Int64
        var followerFailure: StorageError?
        var claims: [UInt64: ChunkClaim] = [:]
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var lastWaiter: UInt64 = 0
        /// Counts finished claims and closings, so that a change between a look and a wait is not missed.
        var changes: UInt64 = 0
        var completion: Task<CompleteOutcome, any Error>?
        var speed = SpeedWindow()
        var lastUse: ContinuousClock.Instant
        var users = 0
        /// Why nothing is taken any more.
        var closedAs: TaskStatus?
        /// Counts chunks given up: a hash that was begun before is over bytes that are not all kept.
        var epoch: UInt64 = 0

        /// Every hash over kept chunks from the start is right; the longest one is kept.
        mutating func advance(to hash: FileDigest, epoch begun: UInt64) {
            guard begun == epoch, hash.byteCount > frontier.byteCount else { return }
            frontier = hash
            verifiedBytes = max(verifiedBytes, hash.byteCount)
        }
    }

    let record: UploadRecord
    let file: OpenFile
    let pool: LocalPool
    let io: IOPool
    let flush = FlushOnce()
    private let state: Mutex<State>

    init(record: UploadRecord, file: OpenFile, pool: LocalPool, io: IOPool, received: [Int], frontier: FileDigest, stallTime: Duration) {
        self.record = record
        self.file = file
        self.pool = pool
        self.io = io
        state = Mutex(
            State(
                ledger: Ledger(plan: record.plan, received: received, stallTime: stallTime), frontier: frontier,
                verifiedBytes: frontier.byteCount, lastUse: .now))
    }

    func withState<Result: Sendable>(_ body: (inout sending State) throws -> sending Result) rethrows -> sending Result {
        try state.withLock(body)
    }

    // MARK: Use

    var taskId: String { record.taskId }
    var accountId: UUID { record.accountId }
    var lastUse: ContinuousClock.Instant { withState { $0.lastUse } }
    var speed: Double { withState { $0.speed.bytesPerSecond(at: .now) } }
    var verifiedBytes: Int64 { withState { $0.verifiedBytes } }

    func endUse() {
        withState { $0.users -= 1 }
    }

    func beginUse() {
        withState { state in
            state.users += 1
            state.lastUse = .now
        }
    }

    /// Whether nobody works with it, so that it may be closed.
    var isIdle: Bool {
        withState { $0.users == 0 && !$0.ledger.hasClaims && $0.completion == nil && $0.follower == nil }
    }

    // MARK: Claims

    /// The right to send a chunk. Waits while another sender makes progress, for at most `patience`.
    func claim(_ index: Int, patience: Duration) async throws -> ChunkClaim {
        let deadline = ContinuousClock.now + patience
        while true {
            let now = ContinuousClock.now
            let (action, claim, replaced, changes): (Ledger.ClaimAction, ChunkClaim?, ChunkClaim?, UInt64) = withState { state in
                let action = state.ledger.claim(index, now: now)
                guard case .granted(let id, let old) = action else { return (action, nil, nil, state.changes) }
                let replaced = old.flatMap { state.claims.removeValue(forKey: $0) }
                let claim = ChunkClaim(index: index, id: id, isWaiting: replaced != nil)
                state.claims[id] = claim
                return (action, claim, replaced, state.changes)
            }
            switch action {
            case .granted:
                guard let claim else { throw closedError() }
                if let replaced {
                    await replaced.revoke()
                    claim.endWrite()
                }
                return claim
            case .alreadyUploaded:
                throw DriveError(
                    .chunkAlreadyUploaded, "Chunk \(index) is uploaded already; the first bytes stay.",
                    details: ["taskId": .string(record.taskId), "chunkIndex": .integer(Int64(index))])
            case .closed: throw closedError()
            case .noSuchChunk:
                throw DriveError(
                    .invalidChunkIndex, "chunkIndex is \(index); this upload has the chunks 0 to \(record.plan.count - 1).",
                    details: ["chunksCount": .integer(Int64(record.plan.count))])
            case .wait(let until):
                guard now < deadline else {
                    throw DriveError(
                        .chunkInProgress, "Chunk \(index) is being sent by another request that makes progress.",
                        details: ["taskId": .string(record.taskId), "chunkIndex": .integer(Int64(index))], retryAfter: 3)
                }
                await waitForChange(after: changes, until: min(until, deadline))
                try Task.checkCancellation()
            }
        }
    }

    func heard(_ claim: ChunkClaim) {
        withState { $0.ledger.heard(claim.index, claim: claim.id, now: .now) }
    }

    /// Ends a claim and wakes who waits; `hash` is the whole file's up to the chunk's end, where it was computed on the
    /// way. False where the claim was lost before.
    @discardableResult
    func finish(_ claim: ChunkClaim, accepted: Bool, hash: (stream: FileDigest, epoch: UInt64)? = nil) -> Bool {
        let (held, waiters) = withState { state in
            let held = state.ledger.finish(claim.index, claim: claim.id, accepted: accepted)
            state.claims[claim.id] = nil
            state.changes += 1
            if accepted, held, let hash { state.advance(to: hash.stream, epoch: hash.epoch) }
            if accepted, held { state.speed.add(record.plan.size(of: claim.index) ?? 0, at: .now) }
            defer { state.waiters = [:] }
            return (held, Array(state.waiters.values))
        }
        for waiter in waiters { waiter.resume() }
        return held
    }

    /// Takes no more bytes, waits for every write under way, and wakes who waits.
    func close(as status: TaskStatus) async {
        let (claims, waiters) = withState { state in
            _ = state.ledger.close()
            state.closedAs = state.closedAs ?? status
            state.changes += 1
            defer {
                state.claims = [:]
                state.waiters = [:]
            }
            return (Array(state.claims.values), Array(state.waiters.values))
        }
        for waiter in waiters { waiter.resume() }
        for claim in claims { await claim.revoke() }
    }

    func closedError() -> DriveError {
        Self.closedError(withState { $0.closedAs } ?? record.status, taskId: record.taskId)
    }

    static func closedError(_ status: TaskStatus, taskId: String) -> DriveError {
        let details: [String: JSONValue] = ["taskId": .string(taskId), "status": .string(status.rawValue)]
        return switch status {
        case .expired: DriveError(.taskExpired, "The upload expired; create a new one.", details: details)
        case .paused: DriveError(.taskPaused, "The upload is paused; resume it first.", details: details)
        case .completed: DriveError(.chunkAlreadyUploaded, "The upload is complete; every chunk is there.", details: details)
        case .pending, .inProgress:
            DriveError(.taskClosed, "The upload is being completed and takes no chunk now.", details: details, retryAfter: 1)
        case .failed, .cancelled:
            DriveError(.taskClosed, "The upload is \(status.rawValue.lowercased()) and takes nothing more.", details: details)
        }
    }

    private func waitForChange(after changes: UInt64, until deadline: ContinuousClock.Instant) async {
        let id = withState { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        // The timer wakes the same waiter, so that a change and the time-out are one path.
        let timer = Task { [weak self] in
            try? await Task.sleep(until: deadline, clock: .continuous)
            self?.wake(id)
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let gone = withState { state in
                    if Task.isCancelled || state.changes != changes || ContinuousClock.now >= deadline { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if gone { continuation.resume() }
            }
        } onCancel: {
            self.wake(id)
        }
        timer.cancel()
    }

    private func wake(_ id: UInt64) {
        withState { $0.waiters.removeValue(forKey: id) }?.resume()
    }
}
