import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveEvents

/// Devices, over each engine.
@Suite(.timeLimit(.minutes(1))) struct RingDeviceTests {
    @Test(arguments: Engine.underTest) func aDeviceIsRegisteredOnceAndKeepsItsId(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let account = UUID()
            let first = try await site.directory.register(
                .webPush(try .sample("https://push.example.org/1")), name: "laptop", account: account)
            #expect(first.isNew && first.device.name == "laptop" && first.device.platform == .webPush)
            try await site.directory.noteFailure(first.device.id, reason: "503")
            site.clock.advance(by: .seconds(10))
            // With new keys, as after a browser's update.
            let renewed = WebPushDevice(try .sample("https://push.example.org/1"))
            let second = try await site.directory.register(renewed.device, name: nil, account: account)
            #expect(!second.isNew && second.device.id == first.device.id && second.device.name == "laptop")
            #expect(second.device.registeredAt > first.device.registeredAt && second.device.createdAt == first.device.createdAt)
            #expect(try await site.directory.reachable(first.device.id)?.device == renewed.device)
            let other = try await site.directory.register(
                .webPush(try .sample("https://push.example.org/2")), name: nil, account: account)
            #expect(other.isNew)
            #expect(try await site.directory.devices(of: account).map(\.id) == [other.device.id, first.device.id])
            #expect(try await site.directory.devices(of: UUID()).isEmpty)
        }
    }

    private struct WebPushDevice {
        let device: PushDevice
        init(_ subscription: WebPushSubscription) { device = .webPush(subscription) }
    }

    @Test(arguments: Engine.underTest) func eachPlatformReadsBack(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let devices: [PushDevice] = [
                .webPush(try .sample("https://push.example.org/1")),
                .apns(try #require(APNsDeviceToken(String(repeating: "ab", count: 32)))), .fcm(try .sample(1)),
            ]
            for device in devices {
                let registered = try await site.directory.register(device, name: nil, account: UUID()).device
                let reachable = try await site.directory.reachable(registered.id)
                #expect(reachable?.device == device)
            }
        }
    }

    /// Neither a token nor an endpoint stands in the database, and a sealed one is of no use in another row.
    @Test(arguments: Engine.underTest) func tokensAreSealed(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let (anna, bert) = (UUID(), UUID())
            let device = try await site.register(anna, 1)
            let other = try await site.register(bert, 2)
            let stored = try await site.database.read { sql in
                try sql.query("SELECT token, fingerprint FROM ring_devices").map { try $0.text("token") + " " + $0.text("fingerprint") }
            }
            #expect(stored.count == 2 && stored.allSatisfy { !$0.contains("token-") && !$0.contains("dG9rZW4t") })
            _ = try await site.database.write { sql in
                try sql.execute(
                    "UPDATE ring_devices SET token = (SELECT token FROM ring_devices WHERE id = $1) WHERE id = $2",
                    [.uuid(device.id), .uuid(other.id)])
            }
            await #expect(throws: SecretSeal.Failure.damaged) { try await site.directory.reachable(other.id) }
            #expect(try await site.directory.reachable(device.id)?.account == anna)
        }
    }

    @Test(arguments: Engine.underTest) func aDeviceThatChangesHandsIsTheOthersAlone(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let (anna, bert) = (UUID(), UUID())
            let hers = try await site.register(anna)
            let his = try await site.register(bert)
            #expect(his.id != hers.id)
            #expect(try await site.directory.devices(of: anna).isEmpty)
            #expect(try await site.directory.reachable(hers.id) == nil)
            #expect(try await site.directory.reachable(his.id)?.account == bert)
        }
    }

    @Test(arguments: Engine.underTest) func theOneRegisteredLongestAgoGivesWay(engine: Engine) async throws {
        try await RingSite.with(engine) {
            $0.devices = 3
        } _: { site in
            let (account, other) = (UUID(), UUID())
            let foreign = try await site.register(other, 100)
            var ids: [UUID] = []
            for number in 1...3 { ids.append(try await site.register(account, number).id) }
            // The first is in use again.
            _ = try await site.register(account, 1)
            let fourth = try await site.register(account, 4).id
            #expect(try await site.directory.devices(of: account).map(\.id) == [fourth, ids[0], ids[2]])
            #expect(try await site.directory.devices(of: other).map(\.id) == [foreign.id])
        }
    }

    @Test(arguments: Engine.underTest) func nobodyRemovesAnothersDevice(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let account = UUID()
            let device = try await site.register(account)
            #expect(try await !site.directory.remove(device.id, of: UUID()))
            #expect(try await !site.directory.remove(.fcm(try .sample(1)), of: UUID()))
            #expect(try await site.directory.remove(device.id, of: account))
            #expect(try await !site.directory.remove(device.id, of: account))
            _ = try await site.register(account)
            #expect(try await site.directory.remove(.fcm(try .sample(1)), of: account))
            #expect(try await site.directory.devices(of: account).isEmpty)
        }
    }

    /// What the provider says of a registration that was renewed since is no word on the new one.
    @Test(arguments: Engine.underTest) func anUnregisteredDeviceGoesUnlessItCameBack(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let device = try await site.register(UUID())
            #expect(try await !site.directory.removeUnregistered(device.id, since: device.registeredAt - .seconds(1)))
            #expect(try await site.directory.reachable(device.id) != nil)
            #expect(try await site.directory.removeUnregistered(device.id, since: device.registeredAt + .seconds(1)))
            let again = try await site.register(UUID())
            #expect(try await site.directory.removeUnregistered(again.id, since: again.registeredAt))
            #expect(try await site.directory.reachable(again.id) == nil)
        }
    }

    /// Two tabs, and two accounts in one browser: neither is told to come again.
    @Test(arguments: Engine.underTest) func registrationsAtOnceAreOneDevice(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let (anna, bert) = (UUID(), UUID())
            for accounts in [[anna, anna], [anna, bert]] {
                for round in 1...10 {
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for account in accounts { group.addTask { _ = try await site.register(account, round) } }
                        try await group.waitForAll()
                    }
                    let devices = try await site.directory.devices(of: anna) + site.directory.devices(of: bert)
                    #expect(devices.count == 1)
                    _ = try await site.database.write { try $0.execute("DELETE FROM ring_devices") }
                }
            }
        }
    }

    @Test(arguments: Engine.underTest) func whatBecameOfPushesIsShown(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let account = UUID()
            let device = try await site.register(account)
            try await site.directory.noteFailure(device.id, reason: "429 TooManyRequests")
            #expect(try await site.directory.devices(of: account).first?.lastFailure == "429 TooManyRequests")
            try await site.directory.noteSuccess(device.id)
            let shown = try #require(try await site.directory.devices(of: account).first)
            #expect(shown.lastFailure == nil && shown.lastSuccessAt != nil)
        }
    }
}
