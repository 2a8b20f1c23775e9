import DriveDatabase
import DriveEvents
import DriveModel
import DriveUploads
import EngineTestSupport
import Foundation
import Testing

/// The bytes that one account's unfinished uploads hold, whatever they cost.
@Suite(.timeLimit(.minutes(3))) struct OpenBytesTests {
    private static func refusal(_ work: () async throws -> some Any) async throws -> DriveError? {
        do {
            _ = try await work()
            return nil
        } catch let error as DriveError {
            return error
        }
    }

    private static func open(_ site: Site, _ owner: Caller) async throws -> Int64 {
        try await site.database.number(
            "SELECT COALESCE(SUM(open_bytes), 0) AS value FROM account_usage WHERE account_id = $1", [.uuid(owner.accountId)])
    }

    /// In a pool that costs nothing the quota does not help.
    @Test(arguments: Engine.underTest, [0, 0.5, 3] as [Double])
    func areCappedPerAccount(engine: Engine, cost: Double) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start {
                $0.maximumOpenBytesPerAccount = 100_000
                $0.defaultQuota = nil
            }
            let pool = try await drive.pools.create(name: "p", path: nil, policy: PoolPolicy(costMultiplier: cost))
            let owner = Caller.someone()
            let first = try await Content(60_000).create(on: drive, by: owner, pool: pool.id)
            // Another pool, the same account.
            let second = try await Content(40_000, seed: 2).create(on: drive, by: owner)
            let error = try await Self.refusal { try await Content(1).create(on: drive, by: owner, pool: pool.id) }
            #expect(error?.code == .tooManyOpenUploads)
            #expect(error?.retryAfter == 60)
            #expect(
                error?.details == [
                    "rule": "maxOpenBytesPerAccount", "maximumBytes": 100_000, "openBytes": 100_000, "neededBytes": 1,
                ])
            // What can never fit says so, and names the same rule.
            let never = try await Self.refusal { try await Content(100_001).create(on: drive, by: .someone(), pool: pool.id) }
            #expect(never?.code == .fileTooLarge)
            #expect(never?.details["rule"] == "maxOpenBytesPerAccount")
            // Others, and what has no bytes, are not concerned.
            _ = try await Content(100_000).create(on: drive, by: .someone(), pool: pool.id)
            _ = try await Content(0).create(on: drive, by: owner, pool: pool.id)
            #expect(try await drive.findings() == [])

            try await drive.uploads.cancel(second.taskId, by: owner)
            #expect(try await Self.open(site, owner) == 60_000)
            try await drive.sendAll(first)
            _ = try await drive.complete(first)
            #expect(try await Self.open(site, owner) == 0)
            _ = try await Content(100_000, seed: 3).create(on: drive, by: owner, pool: pool.id)
            site.clock.advance(by: .seconds(25 * 3600))
            #expect(await drive.housekeeping.sweep().expiredUploads == 3)
            #expect(try await Self.open(site, owner) == 0)
            #expect(try await drive.findings() == [])
        }
    }

    @Test(arguments: Engine.underTest)
    func holdUnderARace(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start { $0.maximumOpenBytesPerAccount = 100_000 }
            let pool = try await drive.pools.create(name: "p", path: nil, policy: PoolPolicy(costMultiplier: 0))
            let owner = Caller.someone()
            let outcomes = await withTaskGroup(of: String.self) { group in
                for seed in 0..<50 {
                    group.addTask {
                        do {
                            return try await Content(10_000, seed: UInt64(seed)).create(on: drive, by: owner, pool: pool.id).taskId
                        } catch {
                            return (error as? DriveError)?.code.name ?? "\(error)"
                        }
                    }
                }
                return await group.reduce(into: [String]()) { $0.append($1) }
            }
            let created = outcomes.filter { $0.count == 22 && !$0.contains("_") }
            #expect(created.count == 10, "\(outcomes)")
            #expect(outcomes.count { $0 == "TOO_MANY_OPEN_UPLOADS" } == 40)
            #expect(try await Self.open(site, owner) == 100_000)
            #expect(try await drive.findings() == [])

            // Ends and beginnings at once never let in more than fits, and leave the sum right.
            await withTaskGroup(of: Void.self) { group in
                for taskId in created { group.addTask { try? await drive.uploads.cancel(taskId, by: owner) } }
                for seed in 0..<20 {
                    group.addTask { _ = try? await Content(10_000, seed: UInt64(seed)).create(on: drive, by: owner, pool: pool.id) }
                }
            }
            #expect(try await Self.open(site, owner) <= 100_000)
            #expect(try await drive.findings() == [])
        }
    }

    /// A file in one request holds its length while it comes.
    @Test(arguments: Engine.underTest)
    func countDirectUploadsWhileTheyRun(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start { $0.maximumOpenBytesPerAccount = 100_000 }
            let owner = Caller.someone()
            func direct(_ body: ScriptedBody, _ length: Int64?) async throws -> CloudFile {
                try await drive.uploads.uploadDirectly(
                    DirectUploadRequest(fileName: "a"), body: body, length: length, idempotencyKey: nil, by: owner)
            }
            let (reached, go) = (Gate(), Gate())
            async let running = direct(
                ScriptedBody([.pause(reached: reached, until: go), .bytes([UInt8](repeating: 1, count: 9))]), 90_000)
            await reached.wait()
            // A small body is received while its bytes are being reserved.
            try await eventually { try await Self.open(site, owner) == 90_000 }
            let error = try await Self.refusal { try await direct(ScriptedBody([2]), 10_001) }
            #expect(error?.code == .tooManyOpenUploads)
            _ = try await direct(ScriptedBody([3]), 10_000)
            go.open()
            // A body may be shorter than its form.
            #expect(try await running.size == 9)
            #expect(try await Self.open(site, owner) == 0)
            // Of unknown length: as much as may come.
            #expect(try await direct(ScriptedBody([4]), nil).size == 1)
            let broken = try await Self.refusal { try await direct(ScriptedBody([.fail(DriveError(.bodyTruncated, "gone"))]), 500) }
            #expect(broken?.code == .bodyTruncated)
            #expect(try await Self.open(site, owner) == 0)
            #expect(try await drive.findings() == [])
        }
    }

    /// Without the cap nothing changes.
    @Test(arguments: Engine.underTest)
    func canBeUnlimited(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start {
                $0.maximumOpenBytesPerAccount = nil
                $0.maximumOpenPerAccount = 2
            }
            let owner = Caller.someone()
            for seed in 0..<2 { _ = try await Content(100_000, seed: UInt64(seed)).create(on: drive, by: owner) }
            let error = try await Self.refusal { try await Content(1).create(on: drive, by: owner) }
            #expect(error?.code == .tooManyOpenUploads)
            #expect(error?.details["rule"] == "maxOpenPerAccount")
        }
    }

    /// The checker recomputes the sum, and mends it.
    @Test(arguments: Engine.underTest)
    func areCheckedAndMended(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let upload = try await Content(70_000).create(on: drive)
            try await site.database.change("UPDATE account_usage SET open_bytes = 5")
            #expect(try await drive.findings() == ["usage open_bytes is 5, recomputed 70000"])
            _ = try await drive.checker.run(repair: true)
            #expect(try await Self.open(site, upload.owner) == 70_000)
            #expect(try await drive.findings() == [])
        }
    }
}
