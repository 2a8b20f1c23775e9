import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Synchronization
import Testing

@testable import DriveEvents

/// Devices of another master key, and devices that are registered twice in the same moment.
@Suite(.timeLimit(.minutes(1))) struct RingRegistrationTests {
    /// With another master key the old rows are of no use. They stay for the old key's sake until somebody comes with the new one.
    @Test(arguments: Engine.underTest) func anotherMasterKeysDevicesGoWhenTheirAccountComesBack(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let (anna, bert) = (UUID(), UUID())
            let (hers, his) = (try await site.register(anna, 1), try await site.register(bert, 2))
            let renewed = RingDirectory(
                database: site.database, seal: .sample(8, id: "0badc0d%"), policy: .publicInternet, surroundings: site.clock.surroundings)
            await #expect(throws: SecretSeal.Failure.otherKey(id: "0badc0de")) { try await renewed.reachable(hers.id) }
            let again = try await renewed.register(.fcm(try .sample(1)), name: nil, account: anna)
            #expect(again.isNew && again.device.id != hers.id)
            let second = try await renewed.register(.fcm(try .sample(3)), name: nil, account: anna)
            // Those of the same key stay, and everybody else's.
            #expect(Set(try await renewed.devices(of: anna).map(\.id)) == [again.device.id, second.device.id])
            #expect(try await renewed.devices(of: bert).map(\.id) == [his.id])
            // They go too where a device is registered that was known already.
            _ = try await site.database.write { sql in
                try sql.execute("UPDATE ring_devices SET account_id = $1 WHERE id = $2", [.uuid(anna), .uuid(his.id)])
            }
            _ = try await renewed.register(.fcm(try .sample(1)), name: nil, account: anna)
            #expect(Set(try await renewed.devices(of: anna).map(\.id)) == [again.device.id, second.device.id])
        }
    }

    @Test(arguments: Engine.underTest) func aReadableTokenEndsTheWordOfAnUnreadableOne(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let account = UUID()
            let device = try await site.register(account)
            for (reason, kept) in [(RingDirectory.unreadable, nil), ("503", "503")] as [(String, String?)] {
                try await site.directory.noteFailure(device.id, reason: reason)
                #expect(try await site.register(account).lastFailure == kept)
            }
        }
    }

    /// A registration of the same address that came while a push was under way is not what the push service spoke of.
    @Test(arguments: Engine.underTest) func aDeviceSaysWhenItWasRegistered(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let account = UUID()
            let id = try await site.register(account).id
            let tried = try #require(try await site.directory.reachable(id))
            let again = try await site.register(account)
            #expect(again.id == id && again.registeredAt > tried.registeredAt)
            #expect(try await !site.directory.removeUnregistered(id, since: tried.registeredAt))
            #expect(try await site.directory.reachable(id)?.registeredAt == again.registeredAt)
            #expect(try await site.directory.removeUnregistered(id, since: again.registeredAt))
        }
    }

    /// Two servers look for the device, find none, and add it: both have it then, or the later one has.
    @Test(arguments: Engine.underTest.filter { $0 == .postgresql }, [true, false])
    func aLostRaceGoesOnAsIfTheDeviceHadBeenKnown(engine: Engine, isOneAccount: Bool) async throws {
        try await RingSite.with(engine) { site in
            let meeting = Meeting()
            let surroundings = Surroundings(
                now: site.clock.surroundings.now,
                randomBytes: { count in
                    // The nonce of a seal: made between the look and the row.
                    if count == 12 { meeting.attend() }
                    return Surroundings.system.randomBytes(count)
                })
            let directory = RingDirectory(
                database: site.database, seal: .sample(surroundings: surroundings), policy: .publicInternet, surroundings: surroundings)
            let anna = UUID()
            let accounts = [anna, isOneAccount ? anna : UUID()]
            let registered = try await withThrowingTaskGroup(of: (UUID, UUID, Bool).self) { group in
                for account in accounts {
                    group.addTask {
                        let made = try await directory.register(.fcm(try .sample(1)), name: nil, account: account)
                        return (account, made.device.id, made.isNew)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(meeting.isComplete)
            var devices = try await directory.devices(of: accounts[0])
            if !isOneAccount { devices += try await directory.devices(of: accounts[1]) }
            #expect(devices.count == 1)
            if isOneAccount { #expect(Set(registered.map(\.1)).count == 1 && registered.filter(\.2).count == 1) }
        }
    }

    /// Two threads of a database wait here for each other, once, and not for ever.
    private final class Meeting: Sendable {
        private let attendants = Mutex(0)

        var isComplete: Bool { attendants.withLock { $0 >= 2 } }

        func attend() {
            attendants.withLock { $0 += 1 }
            let end = ContinuousClock.now + .seconds(5)
            while !isComplete, ContinuousClock.now < end { Thread.sleep(forTimeInterval: 0.001) }
        }
    }
}
