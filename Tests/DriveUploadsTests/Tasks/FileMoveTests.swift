import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import DriveTasks
import DriveUploads
import EngineTestSupport
import Foundation
import Testing

/// Files that are moved between pools and bundles, where all goes well or a file cannot be moved.
@Suite struct FileMoveTests {
    @Test(arguments: Engine.underTest)
    func aFileMovesWithItsBytes(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site, policy: PoolPolicy(costMultiplier: 2))
            let file = try await scene.upload()
            let bench = try await scene.moving([file])
            let attempt = try await bench.attempt()
            let results = try await scene.fileMove.run(attempt)
            #expect(results["movedFiles"] == 1)
            #expect(results["copiedBytes"] == .integer(file.size) && results["totalBytes"] == .integer(file.size))
            #expect(results["failures"] == [])
            #expect(try await bench.outcomes() == ["succeeded"])
            #expect(attempt.reports == attempt.reports.sorted() && attempt.reports.last == 100 && attempt.reports.count > 5)
            try await scene.expectSound(file, in: scene.target.id)
            #expect(try await scene.used() == 2 * file.size)
            // The source's bytes are a later task's.
            #expect(try await scene.blobs(in: nil) == 1)
            try await scene.expectTidy(after: bench, blobs: [0, 1])
            try await scene.expectSound(file, in: scene.target.id)
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM audit_log WHERE action = 'file.move'") == 1)
        }
    }

    /// A blob that others point to stays for them; two files of one content are copied once.
    @Test(arguments: Engine.underTest)
    func sharedBytesAreCopiedOnceAndStayForOthers(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let other = Caller.someone()
            let files = [try await scene.upload(), try await scene.upload()]
            let kept = try await scene.upload(by: other)
            let bench = try await scene.moving(files)
            let results = try await bench.run(scene.fileMove)
            #expect(results["movedFiles"] == 2 && results["copiedBytes"] == .integer(kept.size))
            for file in files { try await scene.expectSound(file, in: scene.target.id) }
            try await scene.expectTidy(after: bench, blobs: [1, 1])
            try await scene.expectSound(kept, in: kept.poolId, owner: other)
        }
    }

    /// Bytes the target has are used where they are sound, and replaced where they are not.
    @Test(arguments: Engine.underTest, [false, true])
    func theTargetHasTheContent(engine: Engine, isDamaged: Bool) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let other = Caller.someone()
            let there = try await scene.upload(by: other, pool: scene.target.id)
            if isDamaged {
                let path = try #require(try await scene.drive.pools.open(scene.target.id).store.list().first)
                try site.damage(site.folder + "/pools/\(scene.target.id.uuidString.lowercased())/" + path, at: 7)
            }
            let file = try await scene.upload()
            let bench = try await scene.moving([file])
            #expect(try await bench.run(scene.fileMove)["copiedBytes"] == .integer(isDamaged ? file.size : 0))
            try await scene.expectSound(file, in: scene.target.id)
            try await scene.expectSound(there, in: scene.target.id, owner: other)
            try await scene.expectTidy(after: bench, blobs: [0, 1])
        }
    }

    /// What concerns a file alone is its item's, and the others go on.
    @Test(arguments: Engine.underTest)
    func eachFileHasItsOutcome(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site, policy: PoolPolicy(maxFileSize: MoveScene.content.bytes.count.asInt64))
            let strangers = try await scene.upload(Content(70, seed: 2), by: .someone())
            let tooLarge = try await scene.upload(Content(6 * 65_536, seed: 3))
            let there = try await scene.upload(Content(80, seed: 4), pool: scene.target.id)
            let empty = try await scene.upload(Content(0))
            let good = try await scene.upload()
            var unknown = good
            unknown.id = "nobodyKnowsThisFileHere"
            let bench = try await scene.moving([strangers, tooLarge, there, empty, unknown, good])
            let results = try await bench.run(scene.fileMove)
            #expect(
                try await bench.outcomes() == [
                    "failed FILE_NOT_FOUND", "failed FILE_TOO_LARGE", "skipped", "succeeded", "failed FILE_NOT_FOUND", "succeeded",
                ])
            #expect(results["filesProcessed"] == 6 && results["failedFiles"] == 3 && results["skippedFiles"] == 1)
            guard case .array(let failures)? = results["failures"] else { throw TimedOut() }
            #expect(failures.map { $0["fileId"]?.string } == [strangers.id, tooLarge.id, unknown.id])
            try await scene.expectSound(good, in: scene.target.id)
            try await scene.expectSound(empty, in: scene.target.id, content: Content(0))
            try await scene.expectTidy(after: bench, blobs: [2, 3])
        }
    }

    /// Where the target costs more, the quota decides; nothing is copied in vain. When there is room, the same task succeeds.
    @Test(arguments: Engine.underTest)
    func theQuotaDecidesOnGrowth(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let size = MoveScene.content.bytes.count.asInt64
            let scene = try await MoveScene(site, policy: PoolPolicy(costMultiplier: 3)) { $0.defaultQuota = 2 * size }
            let file = try await scene.upload()
            let bench = try await scene.moving([file])
            let failure = await #expect(throws: TaskFailure.self) { try await bench.run(scene.fileMove) }
            #expect(failure?.code == "QUOTA_EXCEEDED" && failure?.isRetryable == false)
            #expect(try await scene.blobs(in: scene.target.id) == 0)
            try await scene.expectSound(file, in: file.poolId)
            try await site.database.change(
                "INSERT INTO accounts (id, issuer, subject, name, role, quota_bytes, created_at) VALUES ($1, 'i', 's', 'n', 'user', $2, $3)",
                [.uuid(scene.owner.accountId), .integer(3 * size), .timestamp(site.clock.now)])
            // Somebody asks for it again: it begins anew.
            #expect(try await bench.run(scene.fileMove)["movedFiles"] == 1)
            #expect(try await bench.outcomes() == ["succeeded"])
            #expect(try await scene.used() == 3 * size)
            try await scene.expectSound(file, in: scene.target.id)
        }
    }

    @Test(arguments: Engine.underTest)
    func bundlesAreChangedWithThePoolOrAlone(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let bundle = try await scene.drive.bundles.create(name: "b", description: nil, expiredAt: nil, by: scene.owner)
            let file = try await scene.upload()
            let both = try await scene.moving([file], more: ["targetBundleId": .string(bundle.id.uuidString)])
            #expect(try await both.run(scene.fileMove)["movedFiles"] == 1)
            #expect(try await scene.drive.files.file(file.id, account: scene.owner.accountId).bundleId == bundle.id)
            let out = try await scene.moving([file], more: ["targetPoolId": .null, "removeFromBundle": true])
            #expect(try await out.run(scene.fileMove)["copiedBytes"] == 0)
            #expect(try await scene.drive.files.file(file.id, account: scene.owner.accountId).bundleId == nil)
            let gone = try await scene.moving([file], more: ["targetPoolId": .null, "targetBundleId": .string(bundle.id.uuidString)])
            try await scene.drive.bundles.delete(bundle.id, withFiles: false, by: scene.owner)
            _ = await #expect(throws: TaskFailure.self) { try await gone.run(scene.fileMove) }
            #expect(try await gone.outcomes() == ["failed NOT_FOUND"])
            try await scene.expectSound(file, in: scene.target.id)
        }
    }

    /// What is refused before there is a task, by the rule's name.
    @Test(arguments: Engine.underTest)
    func requestsAreChecked(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site, policy: PoolPolicy(requireRole: "admin"))
            let pool = JSONValue.string(scene.target.id.uuidString)
            let other = JSONValue.string(UUID().uuidString)
            let rows: [(parameters: [String: JSONValue], code: String, rule: String)] = [
                (["targetPoolId": pool], "INVALID_REQUEST", "fileIds"),
                (["fileIds": [], "targetPoolId": pool], "INVALID_REQUEST", "fileIds"),
                (["fileIds": ["a", "a"], "targetPoolId": pool], "INVALID_REQUEST", "fileIds"),
                (["fileIds": [1], "targetPoolId": pool], "INVALID_REQUEST", "fileIds"),
                (["fileIds": .array((0...10_000).map { .string("\($0)") }), "targetPoolId": pool], "INVALID_REQUEST", "fileIds"),
                (["fileIds": ["a"]], "INVALID_REQUEST", "targetPoolId"),
                (["fileIds": ["a"], "targetPoolId": "no"], "INVALID_REQUEST", "targetPoolId"),
                (["fileIds": ["a"], "targetBundleId": "no"], "INVALID_REQUEST", "targetBundleId"),
                (["fileIds": ["a"], "targetBundleId": other, "removeFromBundle": true], "INVALID_REQUEST", "removeFromBundle"),
                (["fileIds": ["a"], "targetPool": pool], "INVALID_REQUEST", "targetPool"),
                (["fileIds": ["a"], "targetPoolId": other], "NOT_FOUND", "targetPoolId"),
                (["fileIds": ["a"], "targetBundleId": other], "NOT_FOUND", "targetBundleId"),
                (["fileIds": ["a"], "targetPoolId": pool], "POOL_POLICY", "requireRole"),
            ]
            for row in rows {
                let error = await #expect(throws: DriveError.self) { try await scene.fileMove.plan(row.parameters, by: scene.owner) }
                #expect(error?.code.name == row.code && error?.details["rule"] == .string(row.rule), "\(row)")
            }
            let file = try await scene.upload()
            let plan = try await scene.fileMove.plan(
                ["fileIds": .array([.string(file.id), "unknown"]), "targetPoolId": pool],
                by: .init(accountId: scene.owner.accountId, role: .admin))
            #expect(plan.poolId == scene.target.id && plan.size == file.size)
        }
    }
}

extension Int {
    var asInt64: Int64 { Int64(self) }
}
