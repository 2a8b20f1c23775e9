import TestSupport
import Testing

@testable import DriveStorage

/// How the memory for gathering is shared.
@Suite struct PiecePoolTests {
    private static let total = 96 * PiecePool.smallest
    private static let largest = 8 * PiecePool.smallest

    /// A pool for this many bodies.
    private static func pool(_ bodies: Int, total: Int = total, largest: Int = largest) -> PiecePool {
        let pool = PiecePool(total: total, largest: largest)
        for _ in 0..<bodies { pool.bodyBegins() }
        return pool
    }

    @Test(arguments: [(1, 8), (6, 8), (12, 8), (13, 4), (24, 4), (25, 2), (48, 2), (49, 1), (96, 1), (97, 1), (5000, 1)])
    func aPieceIsSmallerWhereMoreShare(bodies: Int, times: Int) {
        let pool = Self.pool(bodies)
        let piece = pool.take()
        #expect(piece.capacity == times * PiecePool.smallest)
        #expect(pool.fits(piece))
    }

    /// Whatever is configured, pieces are whole pages, a power of two, and never below the smallest.
    @Test(arguments: [(0, 0), (1, 1), (100_000, 32_768), (300_000, 1 << 20), (1 << 30, 3_000_000), (12 << 20, 5000)])
    func oddSettingsGivePiecesOfWholePages(total: Int, largest: Int) {
        for bodies in [0, 1, 2, 3, 17, 1000] {
            let capacity = Self.pool(bodies, total: total, largest: largest).take().capacity
            #expect(capacity >= PiecePool.smallest && capacity <= max(largest, PiecePool.smallest))
            #expect(capacity & (capacity - 1) == 0)
            #expect(capacity % PieceBuffer.alignment == 0)
        }
    }

    @Test(arguments: [(1, true), (6, true), (7, false), (12, false), (13, false), (500, false)])
    func aSecondPieceIsForFewBodies(bodies: Int, isGranted: Bool) {
        let pool = Self.pool(bodies)
        let first = pool.take()
        let second = pool.takeAnother()
        #expect((second != nil) == isGranted)
        #expect(second == nil || second !== first)
        #expect(second.map { $0.capacity == first.capacity } ?? true)
    }

    /// Up to as many bodies as the smallest piece allows, all of them together keep to the total.
    @Test func theTotalIsKept() {
        for bodies in 1...96 {
            let pool = Self.pool(bodies)
            var pieces = (0..<bodies).map { _ in pool.take() }
            pieces += (0..<bodies).compactMap { _ in pool.takeAnother() }
            #expect(pool.bytes <= Self.total, "\(bodies) bodies")
            for piece in pieces { pool.giveBack(piece) }
            #expect(pool.bytes <= Self.total, "\(bodies) bodies, after them")
        }
    }

    /// Bodies come one after another and fall silent with the piece they got: those before them keep the larger ones. What
    /// is left is shared, beyond it each gets the smallest piece.
    @Test func theTotalIsKeptWhileBodiesArrive() {
        let pool = PiecePool(total: Self.total, largest: Self.largest)
        var pieces: [PieceBuffer] = []
        var excess = 0
        for count in 1...200 {
            pool.bodyBegins()
            pieces.append(pool.take())
            if let second = pool.takeAnother() { pieces.append(second) }
            excess = max(excess, pool.bytes - Self.total - count * PiecePool.smallest)
        }
        #expect(excess == 0)
        for piece in pieces { pool.giveBack(piece) }
        #expect(pool.takenBytes == 0)
    }

    /// A body with a piece of another load's size gives it back at its next turn.
    @Test func aPieceFitsTheLoadItWasTakenIn() {
        let pool = Self.pool(1)
        let large = pool.take()
        #expect(pool.fits(large))
        for _ in 0..<99 { pool.bodyBegins() }
        #expect(!pool.fits(large))
        let small = pool.take()
        #expect(pool.fits(small))
        pool.giveBack(large)
        for _ in 0..<99 { pool.bodyEnds() }
        #expect(!pool.fits(small))
        pool.giveBack(small)
        #expect(pool.takenBytes == 0)
    }

    @Test func whatCameBackLastIsUsedFirst() {
        let pool = Self.pool(2)
        let (first, second) = (pool.take(), pool.take())
        pool.giveBack(first)
        pool.giveBack(second)
        #expect(pool.take() === second)
        #expect(pool.takeAnother() === first)
    }

    /// Rounds of changing load: nothing stays out, and what lies idle is bounded.
    @Test func nothingGrowsOverManyRounds() {
        let pool = PiecePool(total: Self.total, largest: Self.largest)
        var generator = SeededGenerator(seed: 41)
        for round in 0..<2000 {
            let bodies = Int.random(in: 1...(round % 10 == 0 ? 90 : 8), using: &generator)
            for _ in 0..<bodies { pool.bodyBegins() }
            var pieces = (0..<bodies).map { _ in pool.take() }
            pieces += (0..<bodies).compactMap { _ in pool.takeAnother() }
            for piece in pieces.shuffled(using: &generator) {
                pool.giveBack(piece)
                if Bool.random(using: &generator) {
                    let other = pool.take()
                    pool.giveBack(other)
                }
            }
            for _ in 0..<bodies { pool.bodyEnds() }
            #expect(pool.bytes <= Self.total)
        }
        #expect(pool.takenBytes == 0)
    }

    /// Many bodies on many threads, each with one or two pieces of its own at a time.
    @Test func aPieceHasOneOwner() async {
        let pool = PiecePool(total: Self.total, largest: Self.largest)
        await withTaskGroup(of: Bool.self) { group in
            for body in 0..<64 as Range<UInt8> {
                group.addTask {
                    pool.bodyBegins()
                    defer { pool.bodyEnds() }
                    var isAlone = true
                    for round in 0..<200 as Range<UInt8> {
                        let pieces = [pool.take(), round % 2 == 0 ? pool.takeAnother() : nil].compactMap { $0 }
                        let mark = [body, round, body ^ round]
                        for piece in pieces {
                            piece.begin(at: 0)
                            _ = piece.fill(atMost: 3) { memory in
                                memory.copyBytes(from: mark)
                                return 3
                            }
                        }
                        await Task.yield()
                        for piece in pieces where piece.content != mark { isAlone = false }
                        for piece in pieces { pool.giveBack(piece) }
                    }
                    return isAlone
                }
            }
            for await isAlone in group { #expect(isAlone) }
        }
        #expect(pool.takenBytes == 0)
    }
}
