import DriveModel
import Foundation
import Testing

@testable import DriveEvents

/// What the dispatcher does next, without a database.
@Suite struct DispatchAgendaTests {
    private let instant = ContinuousClock.now
    private let now = Timestamp(seconds: 1_800_000_000)
    private let pace = RingDispatcher.Pace()
    private let anna = UUID()
    private let bert = UUID()

    /// One that has searched through everything at `now`.
    private func settled(_ pace: RingDispatcher.Pace = .init()) -> DispatchAgenda {
        var agenda = DispatchAgenda(pace)
        _ = agenda.take(at: instant, now: now)
        agenda.searched(to: nil)
        return agenda
    }

    @Test func atTheStartItSearchesThroughEverything() {
        var agenda = DispatchAgenda(pace)
        #expect(agenda.isBusy)
        #expect(agenda.take(at: instant, now: now).search == .init(reach: .everything, began: now))
        agenda.searched(to: anna)
        #expect(agenda.isBusy)
        #expect(agenda.take(at: instant, now: now).search?.last == anna)
        agenda.searched(to: nil)
        #expect(!agenda.isBusy && agenda.due == nil)
        #expect(agenda.take(at: instant, now: now).search == nil)
    }

    /// A round takes all who wait, and who has more is in the next one.
    @Test func aRoundTakesAllWhoWait() {
        var agenda = settled()
        agenda.tell(anna)
        agenda.tell(bert)
        agenda.tell(anna)
        // Those who come with them are waited for.
        #expect(!agenda.isBusy)
        #expect(Set(agenda.take(at: instant, now: now).accounts) == [anna, bert])
        #expect(agenda.take(at: instant, now: now).accounts.isEmpty)
        agenda.again(bert)
        #expect(agenda.isBusy)
        #expect(agenda.take(at: instant, now: now).accounts == [bert])
        #expect(!agenda.isBusy)
    }

    @Test func whatFailedComesBackWhenItIsDue() throws {
        var agenda = settled()
        agenda.postpone([anna], at: instant)
        #expect(!agenda.isBusy)
        let due = try #require(agenda.due)
        #expect(due == instant + pace.patience)
        // A later failure does not put it off.
        agenda.postpone([bert], at: due - .milliseconds(1))
        #expect(agenda.take(at: due - .milliseconds(1), now: now).accounts.isEmpty)
        #expect(agenda.due == due)
        #expect(Set(agenda.take(at: due, now: now).accounts) == [anna, bert])
        #expect(agenda.due == nil)
    }

    @Test func aSearchThatFailedGoesOnWhereItStood() throws {
        var agenda = DispatchAgenda(pace)
        _ = agenda.take(at: instant, now: now)
        agenda.searched(to: anna)
        agenda.postponeSearch(at: instant)
        #expect(!agenda.isBusy)
        // Whoever is told of meanwhile does not wait for it.
        agenda.tell(bert)
        let meanwhile = agenda.take(at: instant, now: now)
        #expect(meanwhile.accounts == [bert] && meanwhile.search == nil)
        let later = agenda.take(at: try #require(agenda.due), now: now + .seconds(1))
        #expect(later.search == .init(reach: .everything, began: now, last: anna))
    }

    /// Back to where the last search began, and never less than `lookBack`.
    @Test(arguments: [(30, -870), (840, -60), (841, -60), (7200, -60)])
    func aSearchGoesBackToTheLastOne(seconds: Int, from: Int) {
        var agenda = settled()
        agenda.want(.latest)
        let later = now + .seconds(seconds)
        #expect(agenda.take(at: instant, now: later).search?.reach == .since(now + .seconds(from)))
        // This one did not come to its end: the next one goes back as far.
        agenda.want(.everything)
        _ = agenda.take(at: instant, now: later)
        agenda.searched(to: nil)
        agenda.want(.latest)
        #expect(agenda.take(at: instant, now: later + .seconds(7200)).search?.reach == .since(later - .seconds(60)))
    }

    @Test func searchesThatAreWantedMeanwhileFollow() {
        var agenda = settled()
        agenda.want(.latest)
        _ = agenda.take(at: instant, now: now)
        agenda.searched(to: anna)
        agenda.want(.latest)
        #expect(agenda.take(at: instant, now: now).search?.last == anna)
        agenda.searched(to: nil)
        // The second one, from the beginning.
        #expect(agenda.isBusy)
        #expect(agenda.take(at: instant, now: now).search?.last == nil)
        agenda.searched(to: anna)
        // Through everything is more than through the latest,
        agenda.want(.everything)
        #expect(agenda.take(at: instant, now: now).search == .init(reach: .everything, began: now))
        agenda.searched(to: anna)
        // and is not begun again and again.
        agenda.want(.everything)
        #expect(agenda.take(at: instant, now: now).search?.last == anna)
        agenda.searched(to: nil)
        #expect(agenda.take(at: instant, now: now).search == .init(reach: .everything, began: now))
    }

    @Test func whomThereIsNoRoomForASearchFinds() {
        var pace = RingDispatcher.Pace()
        pace.capacity = 1
        let changes: [(DispatchAgenda.Search.Reach, (inout DispatchAgenda, UUID) -> Void)] = [
            (.since(now - pace.lookBack), { $0.tell($1) }), (.everything, { $0.again($1) }),
            (.everything, { $0.postpone([$1], at: .now) }),
        ]
        for (reach, change) in changes {
            var agenda = settled(pace)
            change(&agenda, anna)
            #expect(agenda.take(at: instant - .seconds(1), now: now).search == nil)
            agenda = settled(pace)
            change(&agenda, anna)
            change(&agenda, bert)
            #expect(agenda.take(at: instant - .seconds(1), now: now).search?.reach == reach)
        }
    }
}
