import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Logging
import Testing

@testable import DriveEvents

/// A gateway that takes nothing for a while, or does not take this one event.
@Suite(.timeLimit(.minutes(1))) struct ForwardOutageTests {
    private let unreachable = PushOutcome.retry(after: nil, reason: "unreachable")

    @Test(arguments: Engine.underTest) func afterAnOutageAllComesInOrder(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            try await site.begin()
            let unreachable = unreachable
            site.gateway.answer { _ in unreachable }
            var accounts: [UUID] = []
            for name in ["anna", "bert", "cleo"] {
                accounts.append(try await site.account(name))
                try await site.send(1...3, to: accounts[accounts.count - 1])
            }
            let forwarder = site.forwarder { $0.parallel = 1 }
            try await site.running(forwarder) {
                try await site.passing(.milliseconds(500)) { site.gateway.answers >= 4 }
                for account in accounts { try await site.send(4...4, to: account) }
                try await site.passing(.milliseconds(500)) { site.gateway.answers >= 8 }
                #expect(site.gateway.delivered.isEmpty)
                #expect(site.log.lines("takes no events now").count == 1)
                site.gateway.answer { _ in .delivered }
                try await site.passing(.milliseconds(500)) { site.gateway.delivered.count == 12 }
                for account in accounts { try await eventually { try await site.cursor(account) == 4 } }
            }
            for name in ["anna", "bert", "cleo"] { #expect(site.gateway.numbers(of: name) == Array(1...4)) }
            for (attempt, wait) in site.gateway.waits.prefix(7).enumerated() {
                #expect(wait >= .seconds(min(30, 1 << attempt)), "attempt \(attempt)")
            }
            #expect(site.log.lines("takes events again").count == 1)
            #expect(site.log.count(.warning) == 1)
            #expect(site.log.lines("\"passedOver\": 0").count == 1)
        }
    }

    @Test(arguments: Engine.underTest) func manyOnTheirWayAreOneFailure(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            try await site.begin()
            var accounts: [UUID] = []
            for number in 0..<6 {
                accounts.append(try await site.account("user-\(number)"))
                site.gateway.hold("user-\(number)")
                try await site.send([.numbered(1), .numbered(2)], to: accounts[number])
            }
            let unreachable = unreachable
            site.gateway.answer { _ in unreachable }
            let forwarder = site.forwarder { $0.parallel = 6 }
            try await site.running(forwarder) {
                try await eventually { site.gateway.calls.count == 6 }
                for number in 0..<6 { site.gateway.release("user-\(number)") }
                try await eventually { site.gateway.answers == 6 && site.log.count(.warning) == 1 }
                // One attempt failed, not six: the wait is two seconds at most. Then one asks, not all.
                site.clock.advance(by: .seconds(2))
                try await eventually { site.gateway.answers == 7 }
                try await site.passing(.milliseconds(500)) { site.gateway.answers >= 9 }
                site.gateway.answer { _ in .delivered }
                try await site.passing(.milliseconds(500)) { site.gateway.delivered.count == 12 }
            }
            for (attempt, wait) in site.gateway.waits.dropFirst(5).prefix(3).enumerated() { #expect(wait >= .seconds(1 << attempt)) }
            #expect(Set(site.gateway.delivered).count == 12)
            for number in 0..<6 { #expect(site.gateway.numbers(of: "user-\(number)") == [1, 2]) }
        }
    }

    @Test(arguments: Engine.underTest) func credentialsAreAnErrorAndTheGatewaysWordCounts(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            let anna = try await site.account("anna")
            let forwarder = site.forwarder()
            site.gateway.answer { _ in .credentials(reason: "unauthenticated") }
            try await site.running(forwarder) {
                try await eventually { forwarder.isLeading }
                try await site.send(1...1, to: anna)
                try await eventually { site.log.lines("credentials").count == 1 }
                #expect(site.log.count(.error) == 1)
                site.gateway.answer { _ in .retry(after: .seconds(300), reason: "busy") }
                try await site.passing(.milliseconds(500)) { site.gateway.answers == 2 }
                site.gateway.answer { _ in .delivered }
                try await site.send(2...3, to: anna)
                try await site.passing(.seconds(1)) { site.gateway.delivered.count == 3 }
            }
            #expect(site.gateway.answers == 5)
            // Its own wait would have been over long before.
            #expect(site.gateway.waits[1] >= .seconds(300))
            #expect(site.gateway.numbers(of: "anna") == [1, 2, 3])
            #expect(site.log.count(.warning) == 0, "of an outage there is one line")
        }
    }

    @Test(arguments: Engine.underTest) func whatGotOldIsPassedOverAndCounted(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            let (anna, bert) = (try await site.account("anna"), try await site.account("bert"))
            let forwarder = site.forwarder()
            let unreachable = unreachable
            try await site.running(forwarder) {
                try await eventually { forwarder.isLeading }
                try await site.send(1...2, to: anna)
                try await eventually { try await site.cursor(anna) == 2 }
                site.gateway.answer { _ in unreachable }
                try await site.send(3...5, to: anna)
                try await site.send(1...4, to: bert)
                try await eventually { site.gateway.answers >= 3 }
                site.clock.advance(by: .seconds(1800))
                try await site.send(6...6, to: anna)
                site.clock.advance(by: .seconds(1801))
                try await site.passing(.milliseconds(100)) { site.gateway.answers >= 6 }
                site.gateway.answer { _ in .delivered }
                try await site.send(7...7, to: anna)
                try await site.passing(.milliseconds(100)) { site.gateway.delivered.count == 4 }
                try await site.send(5...5, to: bert)
                try await eventually { try await site.cursor(bert) == 5 }
            }
            #expect(site.gateway.numbers(of: "anna") == [1, 2, 6, 7])
            #expect(site.gateway.numbers(of: "bert") == [5])
            #expect(site.log.lines("\"passedOver\": 7").count == 1)
        }
    }

    @Test(arguments: Engine.underTest) func whatItDoesNotTakeIsPassedOver(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            let (anna, bert) = (try await site.account("anna"), try await site.account("bert"))
            let forwarder = site.forwarder()
            site.gateway.answer { packet in
                if packet.user == "bert" { return .unregistered }
                return packet.number < 4 ? .refused(reason: "invalid-argument") : .delivered
            }
            try await site.running(forwarder) {
                try await eventually { forwarder.isLeading }
                try await site.send(1...5, to: anna)
                try await site.send(1...5, to: bert)
                try await eventually { try await [site.cursor(anna), site.cursor(bert)] == [5, 5] }
            }
            #expect(site.gateway.numbers(of: "anna") == [4, 5])
            #expect(site.gateway.answers == 10)
            // With its type, and not three times at once.
            #expect(site.log.lines("refuses an event").count == 1)
            #expect(site.log.lines("task.completed").count == 1)
            #expect(site.log.count(.warning) == 1)
        }
    }

    @Test(arguments: Engine.underTest) func oneEventThatIsNeverTakenDoesNotStopTheOthersForEver(engine: Engine) async throws {
        try await ForwardSite.with(engine) { site in
            try await site.begin()
            let (anna, bert) = (try await site.account("anna"), try await site.account("bert"))
            try await site.send(1...2, to: anna)
            try await site.send(1...5, to: bert)
            let unreachable = unreachable
            site.gateway.answer { $0.user == "anna" && $0.number == 1 ? unreachable : .delivered }
            try await site.running(site.forwarder { $0.parallel = 1 }) {
                try await site.passing(.milliseconds(100)) { site.gateway.numbers(of: "bert") == Array(1...5) }
            }
            #expect(site.gateway.numbers(of: "anna").isEmpty)
        }
    }
}
