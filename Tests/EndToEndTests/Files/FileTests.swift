import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// Files after their upload: change, list, delete.
@Suite struct FileTests {
    @Test func aFileIsRenamedAndDescribed() async throws {
        let client = try await SharedServer.client("update")
        let content = bytes(5)
        let file = try await client.store(content, name: "old.txt")
        let bundle: FileBundle = try await client.send(.POST, "/bundles", json: ["name": "b"]).decode()
        let id = bundle.id.uuidString.lowercased()
        let changed: CloudFile = try await client.send(
            .PATCH, "/files/\(file.id)",
            json: [
                "name": "new.txt", "bundleId": .string(id), "expiredAt": "2098-01-01T00:00:00Z",
                "userMeta": ["snake_key": 1, "camelKey": ["deep_key": [true, .null, 1.5.json, "x"]]],
            ]
        ).decode()
        #expect(changed.name == "new.txt")
        #expect(changed.bundleId == bundle.id)
        #expect(changed.expiredAt?.description == "2098-01-01T00:00:00Z")
        // What belongs to the owner is given back as it came, keys included.
        #expect(changed.userMeta == ["snake_key": 1, "camelKey": ["deep_key": [true, .null, 1.5.json, "x"]]])
        #expect(changed.updatedAt >= file.updatedAt)
        #expect(changed.hash == file.hash)
        // A field that is not named stays; null clears.
        let named: CloudFile = try await client.send(.PATCH, "/files/\(file.id)", json: ["name": "third.txt"]).decode()
        #expect(named.userMeta == changed.userMeta)
        #expect(named.bundleId == bundle.id)
        let cleared: CloudFile = try await client.send(
            .PATCH, "/files/\(file.id)", json: ["bundleId": .null, "expiredAt": .null, "userMeta": [:]]
        ).decode()
        #expect(cleared.bundleId == nil)
        #expect(cleared.expiredAt == nil)
        #expect(cleared.userMeta.isEmpty)
        #expect(cleared.name == "third.txt")
        try await client.expectContent(content, of: cleared)
    }

    @Test func badChangesAreRefused() async throws {
        let client = try await SharedServer.client("bad-update")
        let file = try await client.store([1])
        let cases: [(String, JSONValue, Int, String)] = [
            ("a bad name", ["name": "a/b"], 400, "INVALID_FILE_NAME"),
            ("a number for a name", ["name": 1], 400, "INVALID_REQUEST"),
            ("metadata that is no object", ["userMeta": [1]], 400, "INVALID_REQUEST"),
            ("too much metadata", ["userMeta": ["k": .string(String(repeating: "x", count: 20_000))]], 400, "INVALID_REQUEST"),
            ("an unknown bundle", ["bundleId": .string(UUID().uuidString)], 404, "NOT_FOUND"),
            ("no bundle's id", ["bundleId": "x"], 400, "INVALID_REQUEST"),
            ("an expiry in the past", ["expiredAt": "2001-01-01T00:00:00Z"], 400, "INVALID_REQUEST"),
            ("no object", [1], 400, "INVALID_REQUEST"),
        ]
        for (what, change, status, code) in cases {
            expectRefusal(try await client.send(.PATCH, "/files/\(file.id)", json: change), status, code, comment: what)
        }
        #expect(try await client.get("/files/\(file.id)/info").decode(CloudFile.self) == file)
    }

    @Test func aDeletedFileIsGoneAndItsPlaceIsFree() async throws {
        let client = try await SharedServer.client("delete")
        let content = bytes(5000)
        let first = try await client.store(content, name: "one")
        let second = try await client.store(content, name: "two")
        #expect(try await client.quota().usedBytes == 10_000)
        let reply = try await client.delete("/files/\(first.id)")
        #expect((200..<300).contains(reply.status), "\(reply)")
        expectRefusal(try await client.get("/files/\(first.id)"), 404, "FILE_NOT_FOUND")
        expectRefusal(try await client.get("/files/\(first.id)/info"), 404, "FILE_NOT_FOUND")
        expectRefusal(try await client.delete("/files/\(first.id)"), 404, "FILE_NOT_FOUND")
        #expect(try await client.send(.HEAD, "/files/\(first.id)").status == 404)
        // The other one has the same bytes still.
        try await client.expectContent(content, of: second)
        #expect(try await client.quota().usedBytes == 5000)
    }

    @Test func filesAreListedFilteredSortedAndPaged() async throws {
        let client = try await SharedServer.client("list-files")
        let bundle: FileBundle = try await client.send(.POST, "/bundles", json: ["name": "b"]).decode()
        let id = bundle.id.uuidString.lowercased()
        for (name, size, query) in [
            ("b_2.txt", 30, ""), ("a%1.txt", 10, "&bundleId=\(id)"), ("C3.txt", 20, ""), ("äb.bin", 40, "&bundleId=\(id)"),
        ] { _ = try await client.store(bytes(size, seed: UInt64(size)), name: name, query: query) }

        func names(_ query: String) async throws -> ([String], String?) {
            let reply = try await client.get("/files/me\(query)")
            #expect(reply.status == 200, "\(reply)")
            return (try reply.decode([CloudFile].self).map(\.name), reply.header("X-Total"))
        }
        let cases: [(String, [String], String)] = [
            ("?sortBy=name&sortDescending=false", ["a%1.txt", "b_2.txt", "C3.txt", "äb.bin"], "4"),
            ("?sortBy=size&sortDescending=false", ["a%1.txt", "C3.txt", "b_2.txt", "äb.bin"], "4"),
            ("?sortBy=size", ["äb.bin", "b_2.txt", "C3.txt", "a%1.txt"], "4"),
            ("?sortBy=createdAt&sortDescending=false", ["b_2.txt", "a%1.txt", "C3.txt", "äb.bin"], "4"),
            ("?sortBy=updatedAt&sortDescending=true", ["äb.bin", "C3.txt", "a%1.txt", "b_2.txt"], "4"),
            ("?sortBy=size&limit=2&offset=1", ["b_2.txt", "C3.txt"], "4"),
            ("?sortBy=size&offset=4", [], "4"),
            ("?limit=1&sortBy=size&sortDescending=true", ["äb.bin"], "4"),
            ("?bundleId=\(id)&sortBy=size", ["äb.bin", "a%1.txt"], "2"),
            ("?query=c3", ["C3.txt"], "1"),
            ("?query=%C3%84B", ["äb.bin"], "1"),
            ("?query=.TXT&sortBy=size&sortDescending=false", ["a%1.txt", "C3.txt", "b_2.txt"], "3"),
            ("?query=%25", ["a%1.txt"], "1"),
            ("?query=_", ["b_2.txt"], "1"),
            ("?query=%5C", [], "0"),
            ("?query=%27%20OR%201%3D1--", [], "0"),
        ]
        for (query, expected, total) in cases {
            let (found, count) = try await names(query)
            #expect(found == expected, "\(query)")
            #expect(count == total, "\(query)")
        }
        for query in [
            "?limit=-1", "?offset=-1", "?limit=x", "?offset=99999999999999999999", "?sortBy=hash", "?sortDescending=maybe", "?bundleId=x",
        ] { expectRefusal(try await client.get("/files/me\(query)"), 400, "INVALID_REQUEST", comment: query) }
    }

    @Test func expiredFilesAreGone() async throws {
        let client = try await SharedServer.client("expiry")
        // Far enough for a busy machine to store it before.
        let soon = Timestamp(seconds: Int64(Date().timeIntervalSince1970) + 4)
        let later = Timestamp(seconds: soon.seconds + 3600)
        let file = try await client.store([1, 2, 3], query: "&expiredAt=\(percentEncoded("\(soon)"))")
        let other = try await client.store([4], query: "&expiredAt=\(percentEncoded("\(later)"))")
        #expect(file.expiredAt == soon)
        try await eventually(within: .seconds(15), "the file to expire", every: .milliseconds(100)) {
            try await client.get("/files/\(file.id)").status == 404
        }
        #expect(Date().timeIntervalSince1970 >= Double(soon.seconds), "not before its time")
        let left: [CloudFile] = try await client.get("/files/me").decode()
        #expect(left.map(\.id) == [other.id])
    }
}

extension Double {
    var json: JSONValue { .double(self) }
}
