import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import DriveTasks
import EngineTestSupport
import Foundation
import Testing

@testable import DriveUploads

/// A pool that is emptied into another while it is used.
@Suite struct StorageMigrationTests {
    private static func bench(_ scene: MoveScene) async throws -> TaskBench {
        let source = try await scene.drive.pools.open(nil).pool.id
        let parameters: [String: JSONValue] = [
            "sourcePoolId": .string(source.uuidString), "targetPoolId": .string(scene.target.id.uuidString),
        ]
        let administrator = Caller.someone(role: .admin)
        _ = try await scene.migration.plan(parameters, by: administrator)
        return try await TaskBench(scene.site, parameters, by: administrator)
    }

    @Test(arguments: Engine.underTest)
    func allFilesOfAllAccountsMove(engine: Engine) async throws {
        try await Site.with(engine) { site in
            // No quota refuses, but all is counted; the target's rules on types are not asked.
            let size = MoveScene.content.bytes.count.asInt64
            let scene = try await MoveScene(site, policy: PoolPolicy(acceptTypes: ["image/*"], costMultiplier: 2)) {
                $0.defaultQuota = size + 100
            }
            let other = Caller.someone()
            let shared = [(try await scene.upload(), scene.owner), (try await scene.upload(by: other), other)]
            let small = try await scene.upload(Content(60, seed: 6))
            let bench = try await Self.bench(scene)
            let attempt = try await bench.attempt()
            let results = try await scene.migration.run(attempt)
            #expect(results["movedFiles"] == 3 && results["movedBlobs"] == 2 && results["remainingFiles"] == 0)
            #expect(results["copiedBytes"] == .integer(size + 60) && results["totalBytes"] == .integer(size + 60))
            #expect(attempt.reports.allSatisfy { $0 <= 100 })
            #expect(try await bench.outcomes() == [])
            for (file, owner) in shared { try await scene.expectSound(file, in: scene.target.id, owner: owner) }
            try await scene.expectSound(small, in: scene.target.id, content: Content(60, seed: 6))
            #expect(try await scene.used() == 2 * (size + 60))
            #expect(try await scene.used(by: other) == 2 * size)
            try await scene.expectTidy(after: bench, blobs: [0, 2])
        }
    }

    /// Files come while it runs, also of content that was moved already; stopped at every step, it goes on.
    @Test(arguments: Engine.underTest)
    func uploadsGoOnMeanwhile(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            var files = [try await scene.upload(), try await scene.upload(Content(100, seed: 2))]
            let bench = try await Self.bench(scene)
            var results: [String: JSONValue]?
            for checks in 0..<40 where results == nil {
                do {
                    results = try await scene.migration.run(try await bench.attempt(interruptAt: checks))
                } catch TaskInterruption.stopped {
                    if checks < 4 { files.append(try await scene.upload(Content(200 + checks, seed: UInt64(checks)))) }
                    if checks == 4 { files.append(try await scene.upload()) }
                    #expect(try await scene.drive.findings() == [])
                }
            }
            #expect(results?["remainingFiles"] == 0 && results?["movedFiles"] == .integer(Int64(files.count)))
            for file in files {
                let current = try await scene.drive.files.file(file.id, account: scene.owner.accountId)
                #expect(current.poolId == scene.target.id)
            }
            try await scene.expectTidy(after: bench, blobs: [0, files.count - 1])
        }
    }

    /// A file comes or goes between the look at a blob's files and the transaction that moves them.
    @Test(arguments: Engine.underTest, [false, true])
    func whatChangesInBetweenIsSeen(engine: Engine, goes: Bool) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site, policy: PoolPolicy(costMultiplier: 2))
            let (file, second) = (try await scene.upload(), try await scene.upload())
            let bench = try await Self.bench(scene)
            let attempt = try await bench.attempt { number in
                guard number == 5 else { return }
                if goes {
                    try await scene.drive.files.delete(second.id, by: scene.owner)
                } else {
                    _ = try await scene.upload(by: .someone())
                }
            }
            let results = try await scene.migration.run(attempt)
            #expect(results["movedFiles"] == (goes ? 1 : 3) && results["remainingFiles"] == 0)
            try await scene.expectSound(file, in: scene.target.id)
            try await scene.expectTidy(after: bench, blobs: [0, 1])
        }
    }

    /// What came behind the place a pass had come to is the next pass's.
    @Test(arguments: Engine.underTest)
    func passesRepeatUntilNothingIsLeft(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            _ = try await scene.upload()
            let bench = try await Self.bench(scene)
            let attempt = try await bench.attempt { number in
                // After the only blob was moved, with the same content once more.
                if number == 6 { _ = try await scene.upload() }
            }
            let results = try await scene.migration.run(attempt)
            #expect(results["movedFiles"] == 2 && results["remainingFiles"] == 0 && results["passes"] == 3)
            try await scene.expectTidy(after: bench, blobs: [0, 1])
        }
    }

    /// More files of one content than one transaction takes.
    @Test(arguments: Engine.underTest)
    func aBlobOfManyFilesMovesInSlices(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let file = try await scene.upload(Content(10))
            let count = 1200
            try await scene.multiply(file, to: count)
            #expect(try await scene.drive.findings() == [])
            let bench = try await Self.bench(scene)
            let attempt = try await bench.attempt()
            #expect(try await scene.migration.run(attempt)["movedFiles"] == .integer(Int64(count)))
            #expect(attempt.commitCount < 10)
            try await scene.expectTidy(after: bench, blobs: [0, 1])
        }
    }

    @Test(arguments: Engine.underTest)
    func damagedBytesStayAndAreReported(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let file = try await scene.upload()
            let path = try #require(try await scene.drive.pools.open(nil).store.list().first)
            try site.damage(site.folder + "/pools/default/" + path, at: 70_000)
            let good = try await scene.upload(Content(90, seed: 9))
            let bench = try await Self.bench(scene)
            let results = try await bench.run(scene.migration)
            #expect(results["movedFiles"] == 1 && results["failedFiles"] == 1 && results["remainingFiles"] == 1)
            #expect(try await bench.outcomes() == ["failed BLOB_DAMAGED"])
            #expect(try await scene.drive.files.file(file.id, account: scene.owner.accountId).poolId == file.poolId)
            #expect(try await scene.drive.files.file(good.id, account: scene.owner.accountId).poolId == scene.target.id)
        }
    }

    @Test(arguments: Engine.underTest)
    func requestsAreChecked(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let scene = try await MoveScene(site)
            let (pool, other) = (JSONValue.string(scene.target.id.uuidString), JSONValue.string(UUID().uuidString))
            let rows: [(parameters: [String: JSONValue], role: AccountRole, code: String, rule: String)] = [
                (["sourcePoolId": pool, "targetPoolId": other], .user, "FORBIDDEN", "role"),
                (["targetPoolId": pool], .admin, "INVALID_REQUEST", "sourcePoolId"),
                (["sourcePoolId": pool], .admin, "INVALID_REQUEST", "targetPoolId"),
                (["sourcePoolId": pool, "targetPoolId": pool], .admin, "INVALID_REQUEST", "targetPoolId"),
                (["sourcePoolId": pool, "targetPoolId": other], .admin, "NOT_FOUND", "targetPoolId"),
                (["sourcePoolId": other, "targetPoolId": pool], .admin, "NOT_FOUND", "sourcePoolId"),
            ]
            for row in rows {
                let error = await #expect(throws: DriveError.self) {
                    try await scene.migration.plan(row.parameters, by: .someone(role: row.role))
                }
                #expect(error?.code.name == row.code && error?.details["rule"] == .string(row.rule), "\(row)")
            }
        }
    }
}
