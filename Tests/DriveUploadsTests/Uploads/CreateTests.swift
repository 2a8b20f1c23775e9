import DriveDatabase
import DriveEvents
import DriveModel
import DriveUploads
import EngineTestSupport
import Foundation
import Testing

/// What create admits, and what it refuses without leaving anything behind.
@Suite struct CreateTests {
    private static func request(_ change: (inout CreateUploadRequest) -> Void = { _ in }) -> CreateUploadRequest {
        var request = CreateUploadRequest(fileName: "a.bin", fileSize: 100_000)
        change(&request)
        return request
    }

    @Test(
        arguments: Engine.underTest,
        [
            (request { $0.fileName = "../x" }, DriveError.Code.invalidFileName), (request { $0.fileName = "" }, .invalidFileName),
            (request { $0.fileSize = -1 }, .invalidFileSize), (request { $0.fileSize = .max }, .fileTooLarge),
            (request { $0.chunkSize = 0 }, .invalidChunkSize), (request { $0.hash = "abc" }, .invalidHash),
            (request { $0.hash = String(repeating: "g", count: 64) }, .invalidHash), (request { $0.contentType = "text" }, .invalidRequest),
            (request { $0.contentType = "text/a/b" }, .invalidRequest),
            (request { $0.contentType = "text/plain\r\nX: y" }, .invalidRequest),
            (request { $0.contentType = "text/" + String(repeating: "a", count: 255) }, .invalidRequest),
            (request { $0.expiredAt = Timestamp(seconds: 1) }, .invalidRequest), (request { $0.encryptPassword = "x" }, .notImplemented),
            (request { $0.poolId = UUID() }, .notFound), (request { $0.bundleId = UUID() }, .notFound),
        ])
    func refuses(engine: Engine, item: (CreateUploadRequest, DriveError.Code)) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            await expectRefusal(item.1) { try await drive.uploads.create(item.0, idempotencyKey: "k", by: .someone()) }
            #expect(site.staged == [])
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM upload_tasks") == 0)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func aPoolsPolicyHolds(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let images = try await drive.pools.create(
                name: "images", path: nil,
                policy: PoolPolicy(acceptTypes: ["image/*"], maxFileSize: 1000, defaultExpirySeconds: 60, maxOpenBytes: 1500))
            let admins = try await drive.pools.create(name: "admins", path: nil, policy: PoolPolicy(requireRole: "admin"))
            func create(_ pool: UUID, _ type: String, _ size: Int64, role: AccountRole = .user) async throws -> CreatedUpload {
                try await drive.uploads.create(
                    CreateUploadRequest(fileName: "a", fileSize: size, contentType: type, poolId: pool), idempotencyKey: nil,
                    by: .someone(role: role))
            }
            await expectRefusal(.poolPolicy) { try await create(images.id, "text/plain", 10) }
            await expectRefusal(.fileTooLarge) { try await create(images.id, "image/png", 1001) }
            await expectRefusal(.poolPolicy) { try await create(admins.id, "image/png", 10) }
            _ = try await create(admins.id, "image/png", 10, role: .admin)
            _ = try await create(images.id, "image/png", 1000)
            // Open uploads hold at most 1,500 bytes of this pool.
            await expectRefusal(.poolPolicy) { try await create(images.id, "image/png", 501) }
            _ = try await create(images.id, "image/png", 500)
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM upload_tasks WHERE expired_at IS NOT NULL") == 2)
            #expect(site.staged.count == 0)
            #expect(try await drive.findings() == [])
        }
    }

    /// A number somebody typed into a pool must not bring the server down at every create.
    @Test(arguments: Engine.underTest, [3600, 10 * 366 * 86_400, 1 << 44, 1 << 60] as [Int64])
    func anyAdmittedExpiryCanBeAdded(engine: Engine, seconds: Int64) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let pool: Pool
            do {
                pool = try await drive.pools.create(name: "p", path: nil, policy: PoolPolicy(defaultExpirySeconds: seconds))
            } catch let error as DriveError {
                #expect(error.code == .invalidRequest)
                #expect(seconds > 10 * 366 * 86_400)
                return
            }
            let upload = try await Content(10).create(on: drive, pool: pool.id)
            try await drive.sendAll(upload)
            let file = try await drive.complete(upload)
            #expect(try await drive.files.file(file.id, account: upload.owner.accountId).expiredAt.map { $0 > site.clock.now } == true)
        }
    }

    @Test(arguments: Engine.underTest)
    func aKeyGivesTheFirstAnswerAgain(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            let first = try await drive.uploads.create(Self.request(), idempotencyKey: "k", by: owner)
            #expect(try await drive.uploads.create(Self.request(), idempotencyKey: "k", by: owner) == first)
            await expectRefusal(.idempotencyConflict) {
                try await drive.uploads.create(Self.request { $0.fileSize = 5 }, idempotencyKey: "k", by: owner)
            }
            await expectRefusal(.idempotencyConflict) {
                try await drive.uploads.uploadDirectly(
                    DirectUploadRequest(fileName: "a"), body: ScriptedBody([1]), length: 1, idempotencyKey: "k", by: owner)
            }
            for key in ["", String(repeating: "k", count: 256)] {
                await expectRefusal(.invalidRequest) { try await drive.uploads.create(Self.request(), idempotencyKey: key, by: owner) }
            }
            // A key is its account's own.
            #expect(try await drive.uploads.create(Self.request(), idempotencyKey: "k", by: .someone()).taskId != first.taskId)
            #expect(try await drive.files.quota(account: owner.accountId, default: nil).reservedBytes == 100_000)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func aKeyUsedAtOnceCreatesOne(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            let created = try await withThrowingTaskGroup(of: CreatedUpload.self) { group in
                for _ in 0..<16 { group.addTask { try await drive.uploads.create(Self.request(), idempotencyKey: "k", by: owner) } }
                return try await group.reduce(into: Set<CreatedUpload>()) { $0.insert($1) }
            }
            #expect(created.count == 1)
            #expect(site.staged.count == 1)
            #expect(try await drive.files.quota(account: owner.accountId, default: nil).reservedBytes == 100_000)
            #expect(try await drive.findings() == [])
        }
    }

    /// A bundle that went meanwhile: the upload goes on without it.
    @Test(arguments: Engine.underTest)
    func aDeletedBundleDoesNotHoldAnUpload(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            let kept = try await drive.bundles.create(name: "kept", description: nil, expiredAt: nil, by: owner)
            let gone = try await drive.bundles.create(name: "gone", description: nil, expiredAt: nil, by: owner)
            await expectRefusal(.notFound) { try await Content(10).create(on: drive, by: .someone(), bundle: kept.id) }
            let uploads = [
                try await Content(10).create(on: drive, by: owner, bundle: kept.id),
                try await Content(11).create(on: drive, by: owner, bundle: gone.id),
            ]
            try await drive.bundles.delete(gone.id, withFiles: true, by: owner)
            var files: [CloudFile] = []
            for upload in uploads {
                try await drive.sendAll(upload)
                files.append(try await drive.complete(upload))
            }
            #expect(files.map(\.bundleId) == [kept.id, nil])
            let stored = try await drive.files.file(files[1].id, account: owner.accountId)
            #expect(stored.bundleId == nil)
            #expect(try await drive.bundles.bundle(kept.id, account: owner.accountId).fileCount == 1)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func makingAnUnknownPoolTheDefaultChangesNothing(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            await expectRefusal(.notFound) { try await drive.pools.update(UUID(), name: "x", policy: PoolPolicy(), makeDefault: true) }
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM pools WHERE is_default = $1", [.bool(true)]) == 1)
            _ = try await Content(10).create(on: drive)
        }
    }
}
