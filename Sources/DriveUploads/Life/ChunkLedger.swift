import DriveModel

/// Which chunks of an upload are kept, and who is sending which. A pure value, generic over the clock.
///
/// A chunk is claimed before its first byte. A second sender is told to wait while the first makes progress, gets
/// the first one's place where that stalled, and learns that the chunk is there once it is.
public struct ChunkLedger<Instant: InstantProtocol & Sendable>: Sendable where Instant.Duration == Duration {
    public typealias ClaimID = UInt64

    /// What a sender is to do.
    public enum ClaimAction: Equatable, Sendable {
        /// Send; `replacing` is the claim that lost its place, whose writes must be waited for.
        case granted(ClaimID, replacing: ClaimID?)
        case alreadyUploaded
        /// Somebody else is sending it; ask again at a change, or at this time at the latest.
        case wait(until: Instant)
        /// The upload takes no chunks now.
        case closed
        case noSuchChunk
    }

    /// What complete is to do.
    public enum CompleteAction: Equatable, Sendable {
        case proceed
        /// Indexes of the chunks that are not there, ascending.
        case missing([Int])
        case closed
    }

    public enum Phase: Equatable, Sendable {
        case open, completing, closed
    }

    private struct Claim: Sendable {
        let id: ClaimID
        var lastByte: Instant
        /// Its row is being written: nobody takes the place any more, however long that lasts.
        var isCommitting = false
    }

    public let plan: ChunkPlan
    public private(set) var phase = Phase.open
    /// How many chunks are kept.
    public private(set) var receivedCount = 0
    private var received: [UInt64]
    private var claims: [Int: Claim] = [:]
    private var lastClaim: ClaimID = 0
    /// The chunk that is being given up.
    private var replacing: Int?
    private let stallTime: Duration

    /// - Parameter stallTime: how long a sender may be silent before another takes its place.
    public init(plan: ChunkPlan, received indexes: some Sequence<Int> = [], stallTime: Duration) {
        self.plan = plan
        self.stallTime = stallTime
        received = [UInt64](repeating: 0, count: (plan.count + 63) / 64)
        for index in indexes where index >= 0 && index < plan.count && !isReceived(index) { mark(index) }
    }

    public func isReceived(_ index: Int) -> Bool {
        received[index >> 6] >> UInt64(index & 63) & 1 == 1
    }

    public var receivedIndexes: [Int] { (0..<plan.count).filter(isReceived) }

    /// Bytes of the chunks that are kept.
    public var receivedBytes: Int64 {
        guard receivedCount > 0, let last = plan.size(of: plan.count - 1) else { return 0 }
        return Int64(receivedCount) * plan.chunkSize - (isReceived(plan.count - 1) ? plan.chunkSize - last : 0)
    }

    public var hasClaims: Bool { !claims.isEmpty }

    /// Asks for the right to send a chunk.
    public mutating func claim(_ index: Int, now: Instant) -> ClaimAction {
        guard index >= 0, index < plan.count else { return .noSuchChunk }
        if isReceived(index) { return .alreadyUploaded }
        guard phase == .open else { return .closed }
        let holder = claims[index]
        if replacing != nil { return .wait(until: now.advanced(by: stallTime)) }
        if let holder, holder.isCommitting { return .wait(until: now.advanced(by: stallTime)) }
        if let holder, now < holder.lastByte.advanced(by: stallTime) {
            return .wait(until: holder.lastByte.advanced(by: stallTime))
        }
        lastClaim += 1
        claims[index] = Claim(id: lastClaim, lastByte: now)
        return .granted(lastClaim, replacing: holder?.id)
    }

    /// Notes that bytes came for a claim.
    public mutating func heard(_ index: Int, claim: ClaimID, now: Instant) {
        if claims[index]?.id == claim { claims[index]?.lastByte = now }
    }

    /// Marks that all bytes came and the row is being written. False where the claim was lost before.
    public mutating func commit(_ index: Int, claim: ClaimID) -> Bool {
        guard claims[index]?.id == claim else { return false }
        claims[index]?.isCommitting = true
        return true
    }

    /// Ends a claim; with `accepted` the chunk is kept from now on. False where the claim was lost before.
    @discardableResult
    public mutating func finish(_ index: Int, claim: ClaimID, accepted: Bool) -> Bool {
        guard claims[index]?.id == claim else { return false }
        claims[index] = nil
        if accepted { mark(index) }
        return true
    }

    /// Begins to give a kept chunk up so that it can be sent again; until `endDiscarding` nobody gets a claim. False
    /// where a sender is active or nothing is kept.
    public mutating func beginDiscarding(_ index: Int) -> Bool {
        guard phase == .open, replacing == nil, claims.isEmpty, index >= 0, index < plan.count, isReceived(index) else { return false }
        replacing = index
        return true
    }

    /// Ends giving up; with `gone` the chunk is missing from now on.
    public mutating func endDiscarding(gone: Bool) {
        guard let index = replacing else { return }
        replacing = nil
        guard gone, isReceived(index) else { return }
        received[index >> 6] &= ~(1 << UInt64(index & 63))
        receivedCount -= 1
    }

    /// Asks to complete; `proceed` stops further chunks until `endCompleting`.
    public mutating func beginCompleting() -> CompleteAction {
        guard phase == .open, replacing == nil else { return .closed }
        guard receivedCount == plan.count else { return .missing((0..<plan.count).filter { !isReceived($0) }) }
        phase = .completing
        return .proceed
    }

    /// Ends completing: closed where it succeeded, open again where it did not.
    public mutating func endCompleting(succeeded: Bool) {
        guard phase == .completing else { return }
        phase = succeeded ? .closed : .open
    }

    /// Cancel and expiry: nothing is taken from now on. Returns the claims that lost their right.
    public mutating func close() -> [ClaimID] {
        phase = .closed
        defer { claims = [:] }
        return claims.values.map(\.id)
    }

    private mutating func mark(_ index: Int) {
        received[index >> 6] |= 1 << UInt64(index & 63)
        receivedCount += 1
    }
}
