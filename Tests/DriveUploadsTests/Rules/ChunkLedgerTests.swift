import DriveModel
import DriveUploads
import Testing

/// An instant of a test's own clock, in microseconds.
struct ManualInstant: InstantProtocol, Sendable {
    var microseconds: Int64 = 0

    func advanced(by duration: Duration) -> ManualInstant {
        ManualInstant(microseconds: microseconds + duration.wholeMicroseconds)
    }

    func duration(to other: ManualInstant) -> Duration {
        .microseconds(other.microseconds - microseconds)
    }

    static func < (left: ManualInstant, right: ManualInstant) -> Bool {
        left.microseconds < right.microseconds
    }

    static func seconds(_ seconds: Int64) -> ManualInstant { ManualInstant(microseconds: seconds * 1_000_000) }
}

@Suite struct ChunkLedgerTests {
    typealias Ledger = ChunkLedger<ManualInstant>

    /// Ten chunks of ten bytes, the last one of five; a sender may be silent for three seconds.
    private static func ledger(received: [Int] = [], size: Int64 = 95) -> Ledger {
        Ledger(plan: ChunkPlan(fileSize: size, chunkSize: 10), received: received, stallTime: .seconds(3))
    }

    @Test func aChunkIsClaimedOnce() {
        var ledger = Self.ledger()
        #expect(ledger.claim(4, now: .seconds(0)) == .granted(1, replacing: nil))
        #expect(ledger.claim(5, now: .seconds(0)) == .granted(2, replacing: nil))
        #expect(ledger.claim(4, now: .seconds(1)) == .wait(until: .seconds(3)))
        #expect(ledger.hasClaims)
        #expect(!ledger.isReceived(4))
    }

    @Test func aSenderThatMakesProgressKeepsItsPlace() {
        var ledger = Self.ledger()
        _ = ledger.claim(0, now: .seconds(0))
        for second in 1...20 as ClosedRange<Int64> {
            ledger.heard(0, claim: 1, now: .seconds(second))
            #expect(ledger.claim(0, now: .seconds(second + 2)) == .wait(until: .seconds(second + 3)))
        }
    }

    @Test func aStalledSenderLosesItsPlace() {
        var ledger = Self.ledger()
        _ = ledger.claim(0, now: .seconds(0))
        #expect(ledger.claim(0, now: ManualInstant(microseconds: 2_999_999)) == .wait(until: .seconds(3)))
        #expect(ledger.claim(0, now: .seconds(3)) == .granted(2, replacing: 1))
        // Whatever the first one does now has no effect.
        ledger.heard(0, claim: 1, now: .seconds(100))
        #expect(ledger.claim(0, now: .seconds(4)) == .wait(until: .seconds(6)))
        #expect(ledger.finish(0, claim: 1, accepted: true) == false)
        #expect(!ledger.isReceived(0))
        #expect(ledger.commit(0, claim: 1) == false)
        #expect(ledger.commit(0, claim: 2) == true)
        #expect(ledger.finish(0, claim: 2, accepted: true) == true)
        #expect(ledger.claim(0, now: .seconds(5)) == .alreadyUploaded)
        #expect(ledger.receivedIndexes == [0])
    }

    @Test func aRefusedChunkIsFreeAtOnce() {
        var ledger = Self.ledger()
        _ = ledger.claim(0, now: .seconds(0))
        #expect(ledger.finish(0, claim: 1, accepted: false) == true)
        #expect(ledger.finish(0, claim: 1, accepted: true) == false)
        #expect(ledger.claim(0, now: .seconds(0)) == .granted(2, replacing: nil))
        #expect(ledger.receivedCount == 0)
    }

    @Test(arguments: [-1, 10, .max, .min])
    func thereAreNoOtherChunks(index: Int) {
        var ledger = Self.ledger()
        #expect(ledger.claim(index, now: .seconds(0)) == .noSuchChunk)
        #expect(ledger.finish(index, claim: 1, accepted: true) == false)
        #expect(ledger.beginDiscarding(index) == false)
        #expect(ledger.commit(index, claim: 1) == false)
    }

    @Test(
        arguments: [
            ([], 0), ([0], 10), ([9], 5), ([0, 9], 15), (Array(0..<10), 95), ([0, 0, 0], 10), ([-1, 10, 99, 3], 10),
        ] as [([Int], Int64)])
    func startsFromWhatWasReceived(indexes: [Int], bytes: Int64) {
        let ledger = Self.ledger(received: indexes)
        #expect(ledger.receivedBytes == bytes)
        #expect(ledger.receivedIndexes == Set(indexes).filter { (0..<10).contains($0) }.sorted())
        #expect(ledger.receivedCount == ledger.receivedIndexes.count)
    }

    @Test func completeNeedsEveryChunk() {
        var ledger = Self.ledger(received: [0, 1, 2, 4, 5, 6, 8, 9])
        #expect(ledger.beginCompleting() == .missing([3, 7]))
        _ = ledger.claim(3, now: .seconds(0))
        ledger.finish(3, claim: 1, accepted: true)
        #expect(ledger.beginCompleting() == .missing([7]))
        #expect(ledger.phase == .open)
        _ = ledger.claim(7, now: .seconds(0))
        ledger.finish(7, claim: 2, accepted: true)
        #expect(ledger.beginCompleting() == .proceed)
        #expect(ledger.phase == .completing)
        // One completion at a time, and nothing is taken or given up meanwhile.
        #expect(ledger.beginCompleting() == .closed)
        #expect(ledger.claim(7, now: .seconds(9)) == .alreadyUploaded)
        #expect(ledger.beginDiscarding(7) == false)
        ledger.endCompleting(succeeded: false)
        #expect(ledger.phase == .open)
        #expect(ledger.beginDiscarding(7) == true)
        ledger.endDiscarding(gone: true)
        #expect(ledger.beginCompleting() == .missing([7]))
    }

    @Test func aCompletedUploadStaysClosed() {
        var ledger = Self.ledger(received: Array(0..<10))
        #expect(ledger.beginCompleting() == .proceed)
        ledger.endCompleting(succeeded: true)
        #expect(ledger.phase == .closed)
        ledger.endCompleting(succeeded: false)
        #expect(ledger.phase == .closed)
        #expect(ledger.beginCompleting() == .closed)
        #expect(ledger.beginDiscarding(0) == false)
    }

    @Test func anEmptyFileIsComplete() {
        var ledger = Self.ledger(size: 0)
        #expect(ledger.receivedBytes == 0)
        #expect(ledger.claim(0, now: .seconds(0)) == .noSuchChunk)
        #expect(ledger.beginCompleting() == .proceed)
    }

    @Test func aKeptChunkIsGivenUpWhenNobodySends() {
        var ledger = Self.ledger(received: [2])
        #expect(ledger.beginDiscarding(3) == false)
        _ = ledger.claim(5, now: .seconds(0))
        #expect(ledger.beginDiscarding(2) == false)
        ledger.finish(5, claim: 1, accepted: false)
        #expect(ledger.beginDiscarding(2) == true)
        // Until its row is gone the chunk is there, nobody gets a claim, and nothing completes.
        #expect(ledger.beginDiscarding(2) == false)
        #expect(ledger.isReceived(2))
        #expect(ledger.claim(2, now: .seconds(0)) == .alreadyUploaded)
        #expect(ledger.claim(4, now: .seconds(1)) == .wait(until: .seconds(4)))
        #expect(ledger.beginCompleting() == .closed)
        ledger.endDiscarding(gone: true)
        ledger.endDiscarding(gone: true)
        #expect(ledger.receivedBytes == 0)
        #expect(ledger.claim(2, now: .seconds(0)) == .granted(2, replacing: nil))
    }

    @Test func aChunkWhoseRowStaysIsKept() {
        var ledger = Self.ledger(received: [2, 9])
        #expect(ledger.beginDiscarding(9) == true)
        ledger.endDiscarding(gone: false)
        #expect(ledger.receivedIndexes == [2, 9])
        #expect(ledger.claim(0, now: .seconds(0)) == .granted(1, replacing: nil))
    }

    /// While its row is written nobody takes the place, however long that lasts.
    @Test func aCommittingSenderIsNeverReplaced() {
        var ledger = Self.ledger()
        _ = ledger.claim(0, now: .seconds(0))
        #expect(ledger.commit(0, claim: 1) == true)
        for second in [1, 3, 100] as [Int64] { #expect(ledger.claim(0, now: .seconds(second)) == .wait(until: .seconds(second + 3))) }
        #expect(ledger.finish(0, claim: 1, accepted: true) == true)
        #expect(ledger.claim(0, now: .seconds(101)) == .alreadyUploaded)
    }

    @Test func closingTakesEveryClaim() {
        var ledger = Self.ledger(received: [0])
        _ = ledger.claim(1, now: .seconds(0))
        _ = ledger.claim(2, now: .seconds(0))
        #expect(ledger.close().sorted() == [1, 2])
        #expect(ledger.close() == [])
        #expect(ledger.finish(1, claim: 1, accepted: true) == false)
        #expect(ledger.claim(1, now: .seconds(9)) == .closed)
        #expect(ledger.claim(0, now: .seconds(9)) == .alreadyUploaded)
        #expect(ledger.beginCompleting() == .closed)
        #expect(ledger.receivedIndexes == [0])
    }

    @Test func closingEndsACompletion() {
        var ledger = Self.ledger(received: Array(0..<10))
        _ = ledger.beginCompleting()
        _ = ledger.close()
        ledger.endCompleting(succeeded: false)
        #expect(ledger.phase == .closed)
    }
}
