import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Logging
import Testing

@testable import DriveEvents

/// One server forwards for all: who, how far it came, and what follows when it stops, dies, or cannot be sure of its lead.
@Suite(.timeLimit(.minutes(1))) struct ForwardLeadTests {
    /// More than any test lets anything fail.
    private let always = 1_000_000
    private let lease = Duration.seconds(12)

    @Test(arguments: Engine.underTest) func twoServersSendEachEventOnce(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            let (anna, bert) = (try await site.account("anna"), try await site.account("bert"))
            let (one, two) = (site.forwarder("one"), site.forwarder("two"))
            try await site.running(one) {
                try await site.running(two) {
                    try await eventually { one.isLeading || two.isLeading }
                    for number in 1...30 {
                        try await site.send(number...number, to: anna)
                        try await site.send(number...number, to: bert)
                    }
                    try await eventually { try await [site.cursor(anna), site.cursor(bert)] == [30, 30] }
                    #expect(one.isLeading != two.isLeading)
                }
            }
            #expect(site.gateway.numbers(of: "anna") == Array(1...30))
            #expect(site.gateway.numbers(of: "bert") == Array(1...30))
        }
    }

    @Test(arguments: Engine.underTest) func afterAStopAnotherOneGoesOnAtOnce(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            let anna = try await site.account("anna")
            // How far it came is written at the stop alone, and nobody looks who leads: it must be told.
            let one = site.forwarder("one") { $0.writing = .seconds(600) }
            let two = site.forwarder("two") { $0.renewal = .seconds(600) }
            let run = Task { try await one.run() }
            try await eventually { one.isLeading }
            try await site.running(two) {
                try await site.send(1...5, to: anna)
                try await eventually { site.gateway.delivered.count == 5 }
                #expect(try await site.cursor(anna) == 0)
                run.cancel()
                try await run.value
                #expect(try await site.cursor(anna) == 5)
                try await eventually { two.isLeading }
                try await site.send(6...6, to: anna)
                try await eventually { site.gateway.delivered.count == 6 }
            }
            #expect(!one.isLeading)
            #expect(site.gateway.numbers(of: "anna") == Array(1...6))
        }
    }

    @Test(arguments: Engine.underTest) func aCrashLosesNothing(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            let anna = try await site.account("anna")
            let cut = UnreliableDatabase(site.database)
            let (first, second) = (ScriptedGateway(site.clock), ScriptedGateway(site.clock))
            let crashed = site.forwarder("crashed", database: cut, gateway: first, lease: lease)
            try await site.running(crashed) {
                try await eventually { crashed.isLeading }
                try await site.send(1...3, to: anna)
                try await eventually { try await site.cursor(anna) == 3 }
                // From here on nothing is written any more, its farewell neither.
                cut.refuse(always)
                try await site.send(4...5, to: anna)
                try await eventually { first.delivered.count == 5 }
                first.hold("anna")
                try await site.send(6...6, to: anna)
                try await eventually { first.calls.count == 6 }
            }
            let heir = site.forwarder("heir", gateway: second, lease: lease)
            try await site.running(heir) {
                try await site.send(7...7, to: anna)
                try await site.passing(.seconds(1)) { heir.isLeading }
                try await eventually { second.delivered.count == 4 }
            }
            #expect(first.numbers(of: "anna") == Array(1...5))
            // What was sent and not written comes twice, what was on its way comes, all in order.
            #expect(second.numbers(of: "anna") == Array(4...7))
        }
    }

    @Test(arguments: Engine.underTest) func whoCannotRenewStopsBeforeAnotherBegins(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            let anna = try await site.account("anna")
            let cut = UnreliableDatabase(site.database)
            let (first, second) = (ScriptedGateway(site.clock), ScriptedGateway(site.clock))
            let one = site.forwarder("one", database: cut, gateway: first, lease: lease)
            let two = site.forwarder("two", gateway: second, lease: lease)
            try await site.running(one) {
                try await eventually { one.isLeading }
                try await site.send(1...1, to: anna)
                try await eventually { try await site.cursor(anna) == 1 }
                try await site.running(two) {
                    cut.refuse(always)
                    let refusals = cut.refusalsLeft
                    // Its lease is twelve seconds; it stops three before the end, and only then the other may begin.
                    site.clock.advance(by: .seconds(4))
                    try await eventually { cut.refusalsLeft < refusals }
                    #expect(one.isLeading)
                    site.clock.advance(by: .seconds(6))
                    try await eventually { !one.isLeading }
                    #expect(!two.isLeading)
                    try await site.send(2...2, to: anna)
                    #expect(site.log.lines("could not be renewed in time").count == 1)
                    try await site.passing(.seconds(1)) { two.isLeading }
                    try await eventually { second.delivered.count == 1 }
                    #expect(!one.isLeading)
                }
                // It writes again, and finds that it may lead again: the other one stopped.
                cut.refuse(0)
                try await eventually { one.isLeading }
                try await site.send(3...3, to: anna)
                try await eventually { first.delivered.count == 2 }
            }
            #expect(first.numbers(of: "anna") == [1, 3])
            #expect(second.numbers(of: "anna") == [2])
        }
    }

    @Test(arguments: Engine.underTest) func whoLostTheLeadWritesNothing(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            let surroundings = site.clock.surroundings
            let directory = RingDirectory(
                database: site.database, seal: .sample(surroundings: surroundings), policy: .publicInternet, surroundings: surroundings)
            let (anna, bert) = (UUID(), UUID())
            let since = try await directory.takeLeadership("x", holder: "one", seen: nil)
            #expect(since != nil)
            // Another one that saw nothing either is too late.
            #expect(try await directory.takeLeadership("x", holder: "two", seen: nil) == nil)
            #expect(try await directory.keepLeadership("x", holder: "one", cursors: [anna: 7, bert: 1]))
            let seen = try await directory.leadership("x")
            #expect(seen == Leadership(holder: "one", heartbeat: 2))
            #expect(try await directory.keepLeadership("x", holder: "one", cursors: [anna: 8]))
            // A sign of life in between: what was seen holds no more.
            #expect(try await directory.takeLeadership("x", holder: "two", seen: seen) == nil)
            let taken = try await directory.takeLeadership("x", holder: "two", seen: try await directory.leadership("x"))
            #expect(taken == since, "when it first began stays")
            #expect(try await directory.keepLeadership("x", holder: "two", cursors: [anna: 9]))
            #expect(try await !directory.keepLeadership("x", holder: "one", cursors: [anna: 8, bert: 2]))
            #expect(try await !directory.keepLeadership("x", holder: "one", cursors: [anna: 8], isLast: true))
            #expect(try await site.cursor(anna) == 9)
            #expect(try await site.cursor(bert) == 1)
            #expect(try await directory.keepLeadership("x", holder: "two", cursors: [:], isLast: true))
            #expect(try await directory.leadership("x") == Leadership(holder: nil, heartbeat: 6))
            #expect(try await directory.leadership("y") == nil)
        }
    }

    @Test(arguments: Engine.underTest) func theLeadIsFoundToBeAnothers(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            let forwarder = site.forwarder(lease: lease)
            try await site.running(forwarder) {
                try await eventually { forwarder.isLeading }
                let anna = try await site.account("anna")
                // Taken for lost while it stood still.
                try await site.database.change("UPDATE ring_leaders SET holder = 'another', heartbeat = heartbeat + 1")
                try await site.send(1...1, to: anna)
                try await eventually { !forwarder.isLeading }
                #expect(try await site.cursor(anna) == 0)
                // That one shows no sign of life.
                try await site.passing(.seconds(1)) { forwarder.isLeading }
                try await eventually { try await site.cursor(anna) == 1 }
            }
            #expect(site.log.lines("another server forwards events now").count == 1)
        }
    }

    @Test(arguments: Engine.underTest) func lostRepliesAndRefusalsAreOvercome(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            let anna = try await site.account("anna")
            let unreliable = UnreliableDatabase(site.database)
            let away = TroubledDatabase(unreliable)
            let forwarder = site.forwarder(database: away)
            // It leads without knowing at first.
            unreliable.loseReplies(1)
            try await site.running(forwarder) {
                try await eventually { forwarder.isLeading }
                unreliable.refuse(3)
                try await site.send(1...3, to: anna)
                try await eventually { try await site.cursor(anna) == 3 }
                unreliable.loseReplies(2)
                try await site.send(4...6, to: anna)
                try await eventually { try await site.cursor(anna) == 6 }
                // Nothing can be read for a while.
                away.isAway = true
                try await site.send(7...9, to: anna)
                try await eventually { away.failures >= 3 }
                away.isAway = false
                try await eventually { try await site.cursor(anna) == 9 }
            }
            #expect(site.gateway.numbers(of: "anna") == Array(1...9))
            #expect(site.log.count(.warning) == 1, "sparse, however often it fails")
        }
    }

    @Test(arguments: Engine.underTest) func whatIsOnItsWayAtAStopGetsALittleTime(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            let anna = try await site.account("anna")
            for (farewell, cursor) in [(Duration.seconds(60), 1), (.milliseconds(5), 0)] as [(Duration, Int64)] {
                let start = try await site.cursor(anna)
                let forwarder = site.forwarder { $0.farewell = farewell }
                let calls = site.gateway.calls.count
                site.gateway.hold("anna")
                let run = Task { try await forwarder.run() }
                try await eventually { forwarder.isLeading }
                try await site.send([.numbered(1), .numbered(2)], to: anna)
                try await eventually { site.gateway.calls.count == calls + 1 }
                run.cancel()
                // The one is answered after the stop began, the other one never.
                if cursor > 0 { site.gateway.release("anna") }
                try await run.value
                #expect(try await site.cursor(anna) == start + cursor)
                #expect(site.gateway.calls.count == calls + 1)
            }
            #expect(site.log.count(.warning) == 0, "a stop is no outage")
        }
    }
}
