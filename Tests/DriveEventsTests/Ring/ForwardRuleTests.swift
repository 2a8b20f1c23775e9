import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveEvents

/// The pure parts of forwarding events.
@Suite struct ForwardRuleTests {
    private let start = ContinuousClock.now

    @Test func whatIsTooOldAndWhatWasBeforeTheFirstStartIsPassedOver() {
        let now = ManualClock.start
        let hour = Duration.seconds(3600)
        #expect(ForwardRule.oldest(since: now - .seconds(10), now: now) == now - .seconds(10))
        #expect(ForwardRule.oldest(since: now - .seconds(86_400), now: now) == now - hour)
        #expect(ForwardRule.oldest(since: now + .seconds(10), now: now) == now + .seconds(10))
    }

    // attempt, asked for, random, seconds
    @Test(
        arguments: [
            (1, nil, 0, 1), (1, nil, 0.5, 1.5), (2, nil, 0, 2), (5, nil, 0, 16), (6, nil, 0, 30), (6, nil, 1, 60), (1_000_000, nil, 0, 30),
            (0, nil, 0, 1), (1, 45, 0, 45), (6, 5, 1, 60), (1, -5, 0, 1), (1, 1e9, 0, 3600), (1, nil, 7, 2), (1, nil, -7, 1),
        ] as [(Int, Double?, Double, Double)])
    func waitsGrowUpToAMinute(attempt: Int, after: Double?, random: Double, seconds: Double) {
        let delay = GatewayOutage.delay(attempt: attempt, after: after.map { .seconds($0) }, random: random)
        #expect(abs(delay.inSeconds - seconds) < 0.001)
    }

    @Test func anOutageIsNewsOnceAndAgainWhereCredentialsAreRefused() {
        var outage = GatewayOutage(began: ManualClock.start, now: start)
        var news: [Bool] = []
        for isCredentials in [false, false, true, true, false, true] {
            news.append(outage.fail(after: nil, isCredentials: isCredentials, now: start, random: 0))
        }
        #expect(news == [true, false, true, false, false, false])
        #expect(outage.resumes == start + .seconds(30))
        outage.extend(by: .seconds(10), now: start)
        outage.extend(by: nil, now: start + .seconds(100))
        #expect(outage.resumes == start + .seconds(30))
        outage.extend(by: .seconds(40), now: start)
        #expect(outage.resumes == start + .seconds(40))
    }

    @Test func accountsTakeTurnsAndNoneIsForgotten() {
        let accounts = (0..<4).map { _ in UUID() }
        var queue = ForwardQueue(capacity: 3)
        #expect(accounts.map { queue.add($0) } == [true, true, true, false])
        #expect(queue.add(accounts[0]) == true, "it waits already")
        #expect(queue.count == 3)
        #expect(queue.next() == accounts[0])
        #expect(queue.add(accounts[3]) == true)
        // Told of while it is worked on, by whoever has it: it has another turn, behind the others.
        #expect(queue.add(accounts[0]) == true)
        #expect((queue.count, queue.activeCount) == (3, 1))
        queue.finish(accounts[0], isMore: false)
        #expect(queue.activeCount == 0)
        for expected in [1, 2, 3, 0] {
            #expect(queue.next() == accounts[expected])
            queue.finish(accounts[expected], isMore: expected == 1)
        }
        #expect(queue.next() == accounts[1])
        queue.finish(accounts[1], isMore: false)
        #expect(queue.next() == nil)
        // One that nobody works on is not put back.
        queue.finish(accounts[2], isMore: true)
        #expect(queue.next() == nil)
    }

    @Test func aLongQueueKeepsItsOrder() {
        let accounts = (0..<1000).map { _ in UUID() }
        var queue = ForwardQueue(capacity: 1000)
        var taken: [UUID] = []
        for (index, account) in accounts.enumerated() {
            #expect(queue.add(account) == true)
            if index % 3 == 2, let next = queue.next() { taken.append(next) }
        }
        while let next = queue.next() { taken.append(next) }
        #expect(taken == accounts)
    }

    @Test func aHolderIsLostWhenItsCounterStoodStillForALease() {
        var watch = LeadershipWatch(lease: .seconds(12))
        func mayTake(_ holder: String?, _ heartbeat: Int64, at seconds: Int) -> Bool {
            watch.mayTake(Leadership(holder: holder, heartbeat: heartbeat), me: "me", now: start + .seconds(seconds))
        }
        #expect(watch.mayTake(nil, me: "me", now: start) == true, "nobody ever led")
        #expect(mayTake(nil, 7, at: 0), "it was given up")
        #expect(mayTake("me", 7, at: 0), "the answer was lost")
        #expect(!mayTake("other", 8, at: 0))
        #expect(!mayTake("other", 8, at: 11))
        #expect(!mayTake("other", 9, at: 12), "a sign of life")
        #expect(!mayTake("other", 9, at: 23))
        #expect(mayTake("other", 9, at: 24))
        #expect(mayTake("other", 9, at: 25))
        #expect(!mayTake("third", 10, at: 26), "another one was faster")
        var alone = LeadershipWatch(lease: .seconds(12), isAlone: true)
        let mayTakeAlone = alone.mayTake(Leadership(holder: "before", heartbeat: 8), me: "me", now: start)
        #expect(mayTakeAlone, "nobody else can be there")
    }
}
