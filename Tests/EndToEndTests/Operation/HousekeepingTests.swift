import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// What goes by itself, and the checker that sees what should not be.
@Suite struct HousekeepingTests {
    @Test func unreferencedBlobsAreCollected() async throws {
        let settings = ["UPLOAD_CLEANUP_INTERVAL_MINUTES": "1s", "DRIVE_BLOB_GRACE_PERIOD": "0s"]
        try await withServer("collect", environment: settings) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            let content = bytes(10_000)
            let first = try await client.store(content)
            let second = try await client.store(content)
            let other = try await client.store(bytes(20_000, seed: 2))
            #expect(server.data.blobFiles.count == 2)
            _ = try await client.delete("/files/\(first.id)")
            _ = try await client.delete("/files/\(other.id)")
            try await eventually(within: .seconds(15), "the blob to be collected", every: .milliseconds(100)) {
                server.data.blobFiles.count == 1
            }
            try await client.expectContent(content, of: second)
            // The same bytes again make a blob again.
            try await client.expectContent(bytes(20_000, seed: 2), of: client.store(bytes(20_000, seed: 2)))
        }
    }

    @Test func theCheckerFindsWhatIsWrong() async throws {
        let data = try DataFolder.make("check")
        defer { data.remove() }
        let token = try await data.token(account: "a")
        try await withServer("check", data: data) { server in
            let client = TestClient(base: server.base, token: token)
            _ = try await client.store(bytes(5000, seed: 1))
            _ = try await client.store(bytes(6000, seed: 2))
        }
        let blobs = data.blobFiles.sorted()
        try #require(blobs.count == 2)
        func size(_ name: String) -> Int { FileManager.default.contents(atPath: data.path + "/" + name)?.count ?? 0 }
        let (flipped, removed) = size(blobs[0]) == 5000 ? (blobs[0], blobs[1]) : (blobs[1], blobs[0])

        // Bytes and a temporary file without a row: found, and removed by --repair.
        let folder = (flipped as NSString).deletingLastPathComponent
        try Data([1]).write(to: URL(fileURLWithPath: data.path + "/" + folder + "/orphan"))
        let pool = String(flipped.prefix(upTo: try #require(flipped.range(of: "/blobs/")).lowerBound))
        try Data([1]).write(to: URL(fileURLWithPath: data.path + "/\(pool)/staging/orphan"))
        let orphans = try await data.check()
        #expect(orphans.exit == .exited(1))
        #expect(orphans.output.contains("orphan"), "\(orphans.output)")
        let repaired = try await data.check(repair: true)
        #expect([.exited(0), .exited(1)].contains(repaired.exit), "\(repaired.output)\(repaired.errors)")
        try await data.expectClean("after --repair")

        // One flipped bit.
        let path = URL(fileURLWithPath: data.path + "/" + flipped)
        var content = try Data(contentsOf: path)
        content[2500] ^= 1
        try content.write(to: path)
        let damaged = try await data.check()
        #expect(damaged.exit == .exited(1))
        #expect(damaged.output.contains("blob.damaged"), "\(damaged.output)")
        content[2500] ^= 1
        try content.write(to: path)
        try await data.expectClean("mended by hand")

        // A missing blob; a damaged or missing one is a 5xx and never a short success.
        try FileManager.default.removeItem(atPath: data.path + "/" + removed)
        let missing = try await data.check()
        #expect(missing.exit == .exited(1))
        #expect(missing.output.contains("blob.missing"), "\(missing.output)")
        try await withServer("check", data: data, checks: false) { server in
            let client = TestClient(base: server.base, token: token)
            let files: [CloudFile] = try await client.get("/files/me").decode()
            let lost = try #require(files.first { $0.size == 6000 })
            expectRefusal(try await client.get("/files/\(lost.id)"), 500, "BLOB_DAMAGED")
            try await client.expectContent(bytes(5000, seed: 1), of: try #require(files.first { $0.size == 5000 }))
        }
    }
}
