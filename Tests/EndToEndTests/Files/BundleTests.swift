import DriveModel
import Foundation
import NIOHTTP1
import Testing

@Suite struct BundleTests {
    @Test func bundlesAreMadeListedChangedAndDeleted() async throws {
        let client = try await SharedServer.client("bundles")
        let created = try await client.send(
            .POST, "/bundles", json: ["name": "one", "description": "first", "expiredAt": "2099-01-01T00:00:00Z"])
        #expect([200, 201].contains(created.status), "\(created)")
        let bundle: FileBundle = try created.decode()
        #expect(bundle.name == "one")
        #expect(bundle.description == "first")
        #expect(bundle.fileCount == 0)
        let id = bundle.id.uuidString.lowercased()
        for size in [10, 20] { _ = try await client.store(bytes(size), query: "&bundleId=\(id)") }
        let read: FileBundle = try await client.get("/bundles/\(id)").decode()
        #expect(read.fileCount == 2)
        #expect(read.totalSize == 30)

        let changed: FileBundle = try await client.send(.PATCH, "/bundles/\(id)", json: ["name": "uno", "description": .null]).decode()
        #expect(changed.name == "uno")
        #expect(changed.description == nil)
        #expect(changed.expiredAt == bundle.expiredAt)

        _ = try await client.send(.POST, "/bundles", json: ["name": "two"])
        let list = try await client.get("/bundles?limit=1")
        #expect(list.header("X-Total") == "2")
        #expect(try list.decode([FileBundle].self).map(\.name) == ["two"])

        let deleted = try await client.delete("/bundles/\(id)")
        #expect((200..<300).contains(deleted.status), "\(deleted)")
        expectRefusal(try await client.get("/bundles/\(id)"), 404, "NOT_FOUND")
        // Its files stay, without it.
        let files: [CloudFile] = try await client.get("/files/me").decode()
        #expect(files.count == 2)
        #expect(files.allSatisfy { $0.bundleId == nil })
    }

    @Test func badBundlesAreRefused() async throws {
        let client = try await SharedServer.client("bad-bundles")
        for (what, body): (String, JSONValue) in [
            ("no name", [:]), ("an empty name", ["name": ""]), ("a long name", ["name": .string(String(repeating: "x", count: 256))]),
            ("a line break", ["name": "a\nb"]),
            ("a long description", ["name": "a", "description": .string(String(repeating: "x", count: 5000))]),
            ("an expiry in the past", ["name": "a", "expiredAt": "2001-01-01T00:00:00Z"]), ("a list", []),
        ] { expectRefusal(try await client.send(.POST, "/bundles", json: body), 400, "INVALID_REQUEST", comment: what) }
        #expect(try await client.get("/bundles").header("X-Total") == "0")
        expectRefusal(try await client.get("/bundles/nonsense"), [400, 404])
    }

    /// A bundle's expiry takes its files along.
    @Test func anExpiredBundleGoesWithItsFiles() async throws {
        try await withServer("bundle-expiry", environment: ["UPLOAD_CLEANUP_INTERVAL_MINUTES": "1s"]) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            let soon = Timestamp(seconds: Int64(Date().timeIntervalSince1970) + 4)
            let bundle: FileBundle = try await client.send(.POST, "/bundles", json: ["name": "b", "expiredAt": .string("\(soon)")]).decode()
            let id = bundle.id.uuidString.lowercased()
            let file = try await client.store(bytes(100), query: "&bundleId=\(id)")
            let other = try await client.store(bytes(100, seed: 2))
            try await eventually(within: .seconds(15), "the bundle's file to go", every: .milliseconds(100)) {
                try await client.get("/files/\(file.id)").status == 404
            }
            expectRefusal(try await client.get("/bundles/\(id)"), 404, "NOT_FOUND")
            #expect(try await client.quota().usedBytes == 100)
            try await client.expectContent(bytes(100, seed: 2), of: other)
        }
    }
}

/// The same where several statuses are right.
func expectRefusal(_ reply: Reply, _ statuses: [Int], comment: String = "", sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(statuses.contains(reply.status), "\(comment) \(reply)", sourceLocation: sourceLocation)
    expectRefusal(reply, reply.status, comment: comment, sourceLocation: sourceLocation)
}
