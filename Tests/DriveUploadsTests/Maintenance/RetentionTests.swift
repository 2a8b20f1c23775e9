import DriveDatabase
import DriveEvents
import DriveModel
import DriveUploads
import EngineTestSupport
import Foundation
import Testing

/// How long an upload may take at most, and how long it is known who did what.
@Suite struct RetentionTests {
    private static let content = Content(5 * 65_536)
    private static let hour = Duration.seconds(3600)

    /// An upload that is never silent for long, and is extended, ends all the same.
    @Test(arguments: Engine.underTest)
    func anUploadExpiresAtItsGreatestAge(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start { $0.maximumAge = Self.hour * 72 }
            let old = try await Self.content.create(on: drive)
            for index in 0..<3 {
                site.clock.advance(by: Self.hour * 20)
                try await drive.send(index, of: old)
                #expect(await drive.housekeeping.sweep().expiredUploads == 0)
            }
            let young = try await Self.content.create(on: drive)
            // A minute before its time, and a minute after.
            site.clock.advance(by: Self.hour * 12 - .seconds(60))
            try await drive.send(3, of: old)
            _ = try await drive.uploads.extend(old.taskId, by: old.owner)
            #expect(await drive.housekeeping.sweep().expiredUploads == 0)
            site.clock.advance(by: .seconds(120))
            #expect(await drive.housekeeping.sweep().expiredUploads == 1)
            #expect(try await drive.status(old) == .expired)
            #expect(try await drive.status(young) == .inProgress)
            await expectRefusal(.taskExpired) { try await drive.send(4, of: old) }
            #expect(site.staged == [young.taskId])
            #expect(try await drive.files.quota(account: old.owner.accountId, default: nil).reservedBytes == 0)
            #expect(try await drive.findings() == [])
        }
    }

    /// More rows than one batch takes; those of the last days stay, and so does what they tell of.
    @Test(arguments: Engine.underTest)
    func auditRowsGoAfterTheirTime(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start { $0.auditRetention = Self.hour * 24 * 10 }
            let owner = Caller.someone()
            func store(_ content: Content) async throws -> CloudFile {
                let upload = try await content.create(on: drive, by: owner)
                try await drive.sendAll(upload)
                return try await drive.complete(upload)
            }
            func actions(of file: CloudFile) async throws -> Int64 {
                try await site.database.number("SELECT COUNT(*) AS value FROM audit_log WHERE object_id = $1", [.text(file.id)])
            }
            let count = "SELECT COUNT(*) AS value FROM audit_log"
            let old = try await store(Content(10, seed: 1))
            let oldRows = try await site.database.number(count)
            #expect(oldRows > 0)
            let at = site.clock.now
            try await site.database.write { sql in
                for number in 0..<1500 {
                    try sql.execute(
                        "INSERT INTO audit_log (id, at, action, object_type, details) VALUES ($1, $2, 'test', 'test', $3)",
                        [.text("test-\(number)"), .timestamp(at), .json("{}")])
                }
            }
            site.clock.advance(by: Self.hour * 24 * 5)
            let young = try await store(Content(10, seed: 2))
            let all = try await site.database.number(count)
            #expect(all > oldRows + 1500)
            _ = await drive.housekeeping.sweep()
            #expect(try await site.database.number(count) == all)
            site.clock.advance(by: Self.hour * 24 * 5)
            _ = await drive.housekeeping.sweep()
            #expect(try await site.database.number(count) == all - oldRows - 1500)
            #expect(try await actions(of: young) == 1)
            #expect(try await actions(of: old) == 0)
            for file in [old, young] { #expect(try await drive.files.file(file.id, account: owner.accountId) == file) }
            #expect(try await drive.findings() == [])
        }
    }
}
