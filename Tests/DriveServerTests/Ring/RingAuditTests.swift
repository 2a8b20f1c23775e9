import DriveDatabase
import DriveEvents
import DriveModel
import DriveRing
import EngineTestSupport
import Foundation
import Testing

@testable import DriveServer

/// What the audit log has of other programs.
@Suite struct RingAuditTests {
    private let caller = RingCaller(address: "192.0.2.7")

    private func with(_ engine: Engine, _ body: (RingAudit, any Database) async throws -> Void) async throws {
        try await engine.with { database in
            try await body(RingAudit(database: database, surroundings: .system, logger: Engine.logger), database)
        }
    }

    private func entries(_ database: any Database) async throws -> [AuditEntry] {
        try await AuditLog().listing(in: database).map(\.entry)
    }

    @Test(arguments: Engine.underTest) func whoRemovesADeviceIsOnRecord(_ engine: Engine) async throws {
        try await with(engine) { audit, database in
            let seal = SecretSeal(masterKey: [UInt8](repeating: 1, count: 32), keyId: "k", purpose: "test", surroundings: .system)
            let directory = RingDirectory(database: database, seal: seal, policy: .publicInternet, surroundings: .system)
            let account = UUID()
            let token = try #require(FCMRegistrationToken("token"))
            let device = try await directory.register(.fcm(token), name: nil, account: account).device.id
            // The second time nothing is there to be removed, nor to be told.
            for _ in 0..<2 { try await audit.removeDevice(device, by: caller) }
            #expect(try await directory.devices(of: account).isEmpty)
            let entry = AuditEntry(
                action: "device.remove", objectType: "device", objectId: device.lowercaseString, address: "192.0.2.7", requestId: "ring",
                details: ["account": .string(account.lowercaseString)])
            #expect(try await entries(database) == [entry])
        }
    }

    @Test func manyRefusedTokensAreFewEntries() async throws {
        try await with(.sqlite) { audit, database in
            let start = ContinuousClock.now
            for second in 0..<100 { await audit.refusedToken(of: caller, at: start + .seconds(second)) }
            await audit.refusedToken(of: caller, at: start + RingAudit.refusalInterval)
            let entries = try await entries(database)
            #expect(entries.allSatisfy { $0.action == "token.refuse" && $0.objectType == "ringService" && $0.address == "192.0.2.7" })
            #expect(entries.map { $0.details["calls"] } == [100, 1])
        }
    }

    /// One entry of several callers blames none of them.
    @Test func eachAddressHasItsOwnCount() async throws {
        try await with(.sqlite) { audit, database in
            let start = ContinuousClock.now
            await audit.refusedToken(of: caller, at: start)
            let addresses = (0..<10).map { "198.51.100.\($0)" }
            for address in addresses + [addresses[0]] { await audit.refusedToken(of: RingCaller(address: address), at: start) }
            await audit.refusedToken(of: RingCaller(address: nil), at: start)
            await audit.writeRefusals(at: start + RingAudit.refusalInterval)
            let entries = try await entries(database)
            #expect(entries.map(\.address) == [nil, "192.0.2.7"])
            var counts: [String: JSONValue] = [:]
            for address in addresses.prefix(RingAudit.refusedAddresses) { counts[address] = 1 }
            counts[addresses[0]] = 2
            #expect(entries.map(\.details) == [["calls": 12, "addresses": .object(counts), "others": 3], ["calls": 1]])
        }
    }

    @Test func whatCouldNotBeWrittenKeepsItsAddresses() async throws {
        try await Engine.sqlite.with { database in
            let unreliable = UnreliableDatabase(database)
            let audit = RingAudit(database: unreliable, surroundings: .system, logger: Engine.logger)
            let start = ContinuousClock.now
            unreliable.refuse(1)
            await audit.refusedToken(of: caller, at: start)
            await audit.refusedToken(of: RingCaller(address: "198.51.100.1"), at: start)
            await audit.writeRefusals(at: start + RingAudit.refusalInterval)
            let entries = try await entries(database)
            #expect(entries.map(\.address) == [nil])
            #expect(entries.map(\.details) == [["calls": 2, "addresses": ["192.0.2.7": 1, "198.51.100.1": 1]]])
        }
    }

    /// Of the calls whose time has not come.
    @Test func theStopWritesTheLastEntry() async throws {
        try await with(.sqlite) { audit, database in
            for _ in 0..<2 { await audit.refusedToken(of: caller) }
            let run = Task { await audit.run() }
            run.cancel()
            await run.value
            let calls = try await entries(database).map { $0.details["calls"] }
            #expect(calls == [1, 1])
        }
    }

    /// Also where no other wrong call comes, and where the database could not be written.
    @Test func everyRefusedCallIsInAnEntryAtLast() async throws {
        try await Engine.sqlite.with { database in
            let unreliable = UnreliableDatabase(database)
            let audit = RingAudit(database: unreliable, surroundings: .system, logger: Engine.logger)
            let start = ContinuousClock.now
            func calls() async throws -> [JSONValue?] { try await entries(database).map { $0.details["calls"] } }
            unreliable.refuse(1)
            for second in 0..<3 { await audit.refusedToken(of: caller, at: start + .seconds(second)) }
            let none = try await calls()
            #expect(none.isEmpty)
            await audit.writeRefusals(at: start + .seconds(5))
            #expect(try await calls() == [])
            await audit.writeRefusals(at: start + RingAudit.refusalInterval)
            #expect(try await calls() == [3])
            await audit.refusedToken(of: caller, at: start + RingAudit.refusalInterval + .seconds(1))
            await audit.writeRefusals(at: start + RingAudit.refusalInterval + .seconds(2), isLast: true)
            await audit.writeRefusals(at: start + RingAudit.refusalInterval * 9, isLast: true)
            #expect(try await calls() == [1, 3])
        }
    }
}
