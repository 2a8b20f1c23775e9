import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveEvents

/// What reaches the external RingService, and in which order.
@Suite(.timeLimit(.minutes(1))) struct ForwardTests {
    @Test(arguments: Engine.underTest) func ownEventsReachTheirPeopleInOrder(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            let anna = try await site.account("anna")
            let local = try await site.account("bert", issuer: ForwardSite.localIssuer)
            let gone = try await site.account("gone", isDisabled: true)
            let forwarder = site.forwarder()
            try await site.running(forwarder) {
                try await eventually { forwarder.isLeading }
                try await site.send(1...20, to: anna)
                try await site.send(1...1, to: gone)
                try await site.send(1...1, to: UUID())
                try await site.send([.numbered(1, type: "file.created"), .numbered(2), .numbered(3)], to: local)
                try await eventually { site.gateway.delivered.count == 23 }
                try await eventually { try await [site.cursor(anna), site.cursor(local), site.cursor(gone)] == [20, 3, 1] }
            }
            #expect(site.gateway.numbers(of: "anna") == Array(1...20))
            // A local account is called by its id, and nobody else is called at all.
            let locals = site.gateway.delivered.filter { $0.user == local.lowercaseString }
            #expect(locals.map(\.type) == ["file.created", "task.completed", "task.completed"])
            #expect(site.gateway.calls.count == 23)
        }
    }

    @Test(arguments: Engine.underTest) func whatOtherProgramsSentIsNotSentOn(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            try await site.begin()
            let anna = try await site.account("anna")
            let now = site.clock.now
            try await site.database.write { sql in
                try EventOutbox.append(
                    [
                        OutboxEvent(account: anna, type: "game.move", taskId: nil, data: #"{"number":1}"#, relay: "{}"),
                        OutboxEvent(account: anna, type: "notification.received", taskId: nil, data: #"{"number":2}"#),
                        OutboxEvent(account: anna, type: "task.completed", taskId: "t", data: #"{"number":3}"#),
                    ], now: now, in: sql)
            }
            try await site.running(site.forwarder()) {
                try await eventually { try await site.cursor(anna) == 3 }
                try await site.send([.numbered(4, type: "notification.received")], to: anna)
                try await site.send(5...5, to: anna)
                try await eventually { try await site.cursor(anna) == 5 }
            }
            #expect(site.gateway.numbers(of: "anna") == [3, 5])
        }
    }

    @Test(arguments: Engine.underTest) func beginningToForwardFloodsNobody(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            let (anna, bert) = (try await site.account("anna"), try await site.account("bert"))
            try await site.send(1...3, to: anna)
            site.clock.advance(by: .seconds(10))
            let forwarder = site.forwarder()
            try await site.running(forwarder) {
                try await eventually { forwarder.isLeading }
                try await site.send(4...4, to: anna)
                try await eventually { site.gateway.numbers(of: "anna") == [4] }
            }
            // What came since is forwarded, also by one who starts later, to whom nothing was forwarded before.
            site.clock.advance(by: .seconds(10))
            try await site.send(5...5, to: anna)
            try await site.send(1...2, to: bert)
            try await site.running(site.forwarder("two")) { try await eventually { site.gateway.delivered.count == 4 } }
            #expect(site.gateway.numbers(of: "anna") == [4, 5])
            #expect(site.gateway.numbers(of: "bert") == [1, 2])
        }
    }

    @Test(arguments: Engine.underTest) func supersededProgressIsSkipped(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            try await site.begin()
            let anna = try await site.account("anna")
            func progress(_ number: Int, _ task: String) -> DriveEvent { .numbered(number, type: "task.progress", task: task) }
            try await site.send([progress(1, "a"), progress(2, "b"), progress(3, "a"), .numbered(4), progress(5, "a")], to: anna)
            try await site.running(site.forwarder()) { try await eventually { try await site.cursor(anna) == 5 } }
            #expect(site.gateway.numbers(of: "anna") == [2, 4, 5])
        }
    }

    @Test(arguments: Engine.underTest) func pagesFollowEachOther(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            try await site.begin()
            let anna = try await site.account("anna")
            try await site.send((1...10).map { .numbered($0) }, to: anna)
            try await site.running(site.forwarder { $0.page = 4 }) { try await eventually { try await site.cursor(anna) == 10 } }
            #expect(site.gateway.numbers(of: "anna") == Array(1...10))
        }
    }

    @Test(arguments: Engine.underTest) func aSlowAccountDoesNotHoldTheOthers(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            let (anna, bert) = (try await site.account("anna"), try await site.account("bert"))
            let forwarder = site.forwarder { $0.parallel = 2 }
            site.gateway.hold("anna")
            try await site.running(forwarder) {
                try await eventually { forwarder.isLeading }
                try await site.send(1...5, to: anna)
                try await eventually { site.gateway.calls.count == 1 }
                try await site.send(1...5, to: bert)
                try await eventually { site.gateway.numbers(of: "bert") == Array(1...5) }
                #expect(site.gateway.numbers(of: "anna").isEmpty)
                site.gateway.release("anna")
                try await eventually { site.gateway.delivered.count == 10 }
            }
            #expect(site.gateway.numbers(of: "anna") == Array(1...5))
            #expect(site.gateway.calls.count == 10)
        }
    }

    @Test(arguments: Engine.underTest) func aLongTurnEndsBeforeThePageDoes(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            try await site.begin()
            let (anna, bert) = (try await site.account("anna"), try await site.account("bert"))
            try await site.send((1...9).map { .numbered($0) }, to: anna)
            try await site.send((1...9).map { .numbered($0) }, to: bert)
            let forwarder = site.forwarder {
                $0.parallel = 1
                $0.turn = .zero
            }
            try await site.running(forwarder) { try await eventually { site.gateway.delivered.count == 18 } }
            let users = site.gateway.delivered.map(\.user)
            for turn in stride(from: 0, to: 18, by: 2) { #expect(Set(users[turn...(turn + 1)]).count == 2, "turn \(turn)") }
            #expect(site.gateway.numbers(of: "anna") == Array(1...9))
            #expect(site.gateway.numbers(of: "bert") == Array(1...9))
        }
    }

    @Test(arguments: Engine.underTest) func whoFindsNoRoomIsFoundLater(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            try await site.begin()
            var accounts: [UUID] = []
            for number in 0..<9 {
                accounts.append(try await site.account("user-\(number)"))
                try await site.send(1...1, to: accounts[number])
            }
            let forwarder = site.forwarder {
                $0.capacity = 2
                $0.portion = 2
                $0.parallel = 1
            }
            try await site.running(forwarder) {
                try await eventually { site.gateway.delivered.count == 9 }
                // All at once: most are told of where there is no room.
                site.gateway.hold("user-0")
                try await site.send(2...2, to: accounts[0])
                try await eventually { site.gateway.calls.count == 10 }
                for account in accounts.dropFirst() { try await site.send(2...2, to: account) }
                site.gateway.release("user-0")
                try await eventually { site.gateway.delivered.count == 18 }
            }
            #expect(Set(site.gateway.delivered).count == 18)
        }
    }

    @Test(arguments: Engine.underTest) func whatIsNotToldIsFoundByTheLook(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            let deaf = TroubledDatabase(site.database)
            deaf.swallowNotifications()
            let anna = try await site.account("anna")
            let forwarder = site.forwarder(database: deaf) { $0.lookInterval = .milliseconds(10) }
            try await site.running(forwarder) {
                try await eventually { forwarder.isLeading }
                for number in 1...3 {
                    try await site.send(number...number, to: anna)
                    try await eventually { site.gateway.numbers(of: "anna") == Array(1...number) }
                }
            }
        }
    }
}
