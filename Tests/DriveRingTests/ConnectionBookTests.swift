import Testing

@testable import DriveRing

/// Who may hold how many connections and calls, and for how long.
@Suite struct ConnectionBookTests {
    private let start = ContinuousClock.now

    private func book(_ change: (inout RingLimits) -> Void = { _ in }) -> ConnectionBook<ContinuousClock.Instant> {
        var limits = RingLimits()
        limits.connections = 5
        limits.connectionsPerAddress = 3
        limits.calls = 2
        change(&limits)
        return ConnectionBook(limits: limits)
    }

    @Test func oneAddressDoesNotTakeAllPlaces() {
        var book = book()
        let own = (0..<4).map { book.admit("a\($0)", of: "a", at: start) }
        #expect(own == [1, 2, 3, nil])
        #expect((0..<3).map { book.admit("b\($0)", of: "b", at: start) } == [4, 5, nil], "and there are so many in all")
        book.remove(2)
        #expect(book.count == 4)
        // Removed once, however often it is told.
        book.remove(2)
        #expect(book.admit("a4", of: "a", at: start) == 6 && book.admit("a5", of: "a", at: start) == nil)
    }

    @Test func onlySoManyCallsAreUnderWay() {
        var book = book()
        let one = book.admit("a", of: "a", at: start)
        #expect(book.begin(over: "a") == .begun(one) && book.begin(over: "gone") == .begun(nil))
        #expect(book.begin(over: "a") == .refused && book.calls == 2)
        book.end(nil, at: start)
        #expect(book.begin(over: "a") == .begun(one))
        book.end(one, at: start)
        book.end(one, at: start)
        #expect(book.calls == 0)
        // A call may end behind its connection.
        #expect(book.begin(over: "a") == .begun(one))
        book.remove(1)
        book.end(one, at: start)
        #expect(book.calls == 0 && book.count == 0)
    }

    @Test func whoDoesNotSignInIsClosed() {
        var book = book()
        _ = book.admit("a", of: "a", at: start)
        _ = book.admit("b", of: "a", at: start)
        #expect(book.begin(over: "b") == .begun(2))
        #expect(book.overdue(at: start + .milliseconds(29_999)).isEmpty)
        #expect(book.overdue(at: start + .seconds(30)) == [1])
        #expect(book.stranger("a") == 1 && book.stranger("b") == nil && book.stranger("c") == nil)
        book.end(2, at: start + .seconds(100))
        // The other one has time until its idle time and a minute more are over.
        #expect(book.overdue(at: start + .seconds(759)) == [1])
        #expect(book.overdue(at: start + .seconds(760)) == [1, 2])
        #expect(book.begin(over: "b") == .begun(2))
        #expect(book.overdue(at: start + .seconds(9_000)) == [1], "a call is under way")
    }

    /// A token that is refused for want of places is shown all the same.
    @Test func whoHasTheTokenIsNotClosedForWantOfPlaces() {
        var book = book { $0.calls = 0 }
        _ = book.admit("a", of: "a", at: start)
        #expect(book.begin(over: "a") == .refused)
        #expect(book.overdue(at: start + .seconds(60)).isEmpty)
    }

    /// A port may be somebody else's by the time that the end of its last connection is noticed.
    @Test func aNewConnectionMayHaveAnOldOnesPort() {
        var book = book()
        #expect(book.admit("a", of: "a", at: start) == 1 && book.admit("a", of: "a", at: start) == 2)
        book.remove(1)
        #expect(book.begin(over: "a") == .begun(2) && book.count == 1)
    }
}
