import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import DriveUploads
import EngineTestSupport
import Foundation
import Testing

/// What an account is told as its files fill its quota.
@Suite struct QuotaEventTests {
    private static func upload(_ size: Int, to drive: Instance, by owner: Caller) async throws -> CloudFile {
        try await drive.uploads.uploadDirectly(
            DirectUploadRequest(fileName: "a"), body: ScriptedBody(Content(size, seed: UInt64(size)).bytes), length: size.asInt64,
            idempotencyKey: nil, by: owner)
    }

    private static func warnings(_ site: Site, _ owner: Caller) async throws -> [[String: JSONValue]] {
        try await site.told(owner).filter { $0.type == "quota.warning" }.map { event in
            #expect(event.data["changedAt"]?.string.flatMap { Timestamp($0) } != nil)
            return event.data.filter { $0.key != "changedAt" }
        }
    }

    private static func warning(_ used: Int64, of quota: Int64, percent: Int64) -> [String: JSONValue] {
        ["usedBytes": .integer(used), "quotaBytes": .integer(quota), "percent": .integer(percent)]
    }

    @Test(arguments: Engine.underTest)
    func eachThresholdIsToldWhenItIsCrossed(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start { $0.defaultQuota = 1000 }
            let owner = Caller.someone()
            let first = try await Self.upload(799, to: drive, by: owner)
            #expect(try await Self.warnings(site, owner).isEmpty)
            for size in [1, 100, 50, 50] { _ = try await Self.upload(size, to: drive, by: owner) }
            let told = [
                Self.warning(800, of: 1000, percent: 80), Self.warning(950, of: 1000, percent: 95),
                Self.warning(1000, of: 1000, percent: 100),
            ]
            #expect(try await Self.warnings(site, owner) == told)
            // It falls below all of them, and rises over all at once.
            try await drive.files.delete(first.id, by: owner)
            #expect(try await Self.warnings(site, owner) == told)
            _ = try await Self.upload(799, to: drive, by: owner)
            #expect(try await Self.warnings(site, owner) == told + [Self.warning(1000, of: 1000, percent: 100)])
            // What is refused or empty crosses nothing.
            await expectRefusal(.quotaExceeded) { try await Self.upload(2, to: drive, by: owner) }
            _ = try await Self.upload(0, to: drive, by: owner)
            #expect(try await Self.warnings(site, owner).count == 4)
        }
    }

    /// A quota of its own goes before the default; a negative one is none.
    @Test(arguments: Engine.underTest)
    func theAccountsOwnQuotaCounts(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start { $0.defaultQuota = 1000 }
            let (limited, unlimited) = (Caller.someone(), Caller.someone())
            for (owner, quota) in [(limited, 2000), (unlimited, -1)] {
                try await site.database.change(
                    "INSERT INTO accounts (id, issuer, subject, name, role, quota_bytes, created_at) VALUES ($1, 'i', $2, 'n', 'user', $3, $4)",
                    [.uuid(owner.accountId), .text("\(quota)"), .int(quota), .timestamp(site.clock.now)])
                for size in [1000, 600] { _ = try await Self.upload(size, to: drive, by: owner) }
            }
            #expect(try await Self.warnings(site, limited) == [Self.warning(1600, of: 2000, percent: 80)])
            #expect(try await Self.warnings(site, unlimited).isEmpty)
        }
    }

    @Test(arguments: Engine.underTest)
    func withoutAQuotaThereIsNoWarning(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start { $0.defaultQuota = nil }
            let owner = Caller.someone()
            _ = try await Self.upload(5000, to: drive, by: owner)
            #expect(try await site.told(owner).map(\.type) == ["file.created"])
        }
    }
}
