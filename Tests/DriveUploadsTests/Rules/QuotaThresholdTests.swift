import DriveUploads
import Testing

@Suite struct QuotaThresholdTests {
    struct Case: Sendable {
        var before: Int64
        var after: Int64
        var limit: Int64? = 1000
        var crossed: QuotaThreshold?
    }

    @Test(
        arguments: [
            Case(before: 0, after: 799), Case(before: 0, after: 800, crossed: .high), Case(before: 799, after: 800, crossed: .high),
            Case(before: 949, after: 950, crossed: .critical), Case(before: 999, after: 1000, crossed: .full),
            // The highest one alone.
            Case(before: 0, after: 950, crossed: .critical), Case(before: 799, after: 1000, crossed: .full),
            Case(before: 810, after: 5000, crossed: .full),
            // Not again while the use stays above, and never on the way down.
            Case(before: 800, after: 949), Case(before: 950, after: 999), Case(before: 1000, after: 2000), Case(before: 800, after: 800),
            Case(before: 1000, after: 0), Case(before: 960, after: 940),
            // After it fell below.
            Case(before: 790, after: 805, crossed: .high),
            // No limit.
            Case(before: 0, after: .max, limit: nil), Case(before: 0, after: .max, limit: -1),
            // A part of a byte counts as one.
            Case(before: 2, after: 3, limit: 3, crossed: .full), Case(before: 1, after: 2, limit: 3),
            Case(before: 0, after: 1, limit: 1, crossed: .full),
            Case(before: 80, after: 81, limit: 101, crossed: .high), Case(before: 79, after: 80, limit: 101),
            // No room at all: full with the first byte.
            Case(before: 0, after: 0, limit: 0), Case(before: 0, after: 1, limit: 0, crossed: .full), Case(before: 1, after: 9, limit: 0),
            // No overflow.
            Case(before: 0, after: .max / 2, limit: .max / 2, crossed: .full), Case(before: 0, after: .max, limit: .max, crossed: .full),
            Case(before: 0, after: .max / 100 * 80 - 1, limit: .max),
        ])
    func theHighestThatWasCrossed(row: Case) {
        #expect(QuotaThreshold.crossed(before: row.before, after: row.after, limit: row.limit) == row.crossed, "\(row)")
    }

    /// Whatever the steps on the way up: each threshold is told at most once, in their order, and the last is that of the end.
    @Test(arguments: [1, 3, 7, 19, 50, 51, 200, 999] as [Int64])
    func everyWayUpTellsWhatItReached(step: Int64) {
        var told: [QuotaThreshold] = []
        var used: Int64 = 0
        while used < 1000 {
            let next = min(1000, used + step)
            if let threshold = QuotaThreshold.crossed(before: used, after: next, limit: 1000) { told.append(threshold) }
            used = next
        }
        #expect(told.map(\.rawValue) == Set(told.map(\.rawValue)).sorted())
        #expect(told.last == .full && (step >= 50 || told.count == 3))
    }
}
