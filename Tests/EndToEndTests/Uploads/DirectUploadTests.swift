import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// A small file by one request.
@Suite struct DirectUploadTests {
    @Test(arguments: [0, 1, 65_536, 300_001]) func rawBytesBecomeAFile(_ size: Int) async throws {
        let client = try await SharedServer.client("direct-raw")
        let content = bytes(size, seed: 100 + UInt64(size))
        let file = try await client.store(content, name: "a b+c&d.txt", contentType: "text/plain")
        #expect(file.name == "a b+c&d.txt")
        #expect(file.contentType == "text/plain")
        try await client.expectContent(content, of: file)
    }

    @Test(arguments: [0, 1, 65_536, 300_001]) func aFormBecomesAFile(_ size: Int) async throws {
        let client = try await SharedServer.client("direct-form")
        let content = bytes(size, seed: 200 + UInt64(size))
        let body = Multipart(parts: [.file("file", content, fileName: "form.png", contentType: "image/png")])
        let reply = try await client.send(.POST, "/files/upload/direct", headers: [("Content-Type", body.contentType)], body: body.bytes)
        try #require(reply.status == 200, "\(reply)")
        let file: CloudFile = try reply.decode()
        #expect(file.name == "form.png")
        #expect(file.contentType == "image/png")
        try await client.expectContent(content, of: file)
    }

    /// `curl --form file=@…` without a known length: Transfer-Encoding chunked.
    @Test func aBodyWithoutLengthBecomesAFile() async throws {
        let server = try await SharedServer.get()
        let client = try await SharedServer.client("direct-chunked")
        let content = bytes(5000)
        var request = RawConnection.request(
            "POST /api/files/upload/direct?fileName=c.bin", token: try #require(client.token),
            headers: ["Content-Type: application/octet-stream", "Transfer-Encoding: chunked"])
        for start in stride(from: 0, to: content.count, by: 1000) {
            request += Array("3e8\r\n".utf8) + content[start..<start + 1000] + Array("\r\n".utf8)
        }
        request += Array("0\r\n\r\n".utf8)
        let reply = try #require(try await RawConnection.exchange(port: server.port, request))
        #expect(reply.status == 200, "\(reply)")
        // The reply itself may be chunked: the list tells as well.
        let files = try await client.get("/files/me").decode([CloudFile].self)
        try await client.expectContent(content, of: try #require(files.first { $0.name == "c.bin" }))
    }

    @Test func whatIsRefusedLeavesNothing() async throws {
        let client = try await SharedServer.client("direct-refused")
        let content = bytes(1000)
        let other = bytes(1000, seed: 2)
        let form = Multipart(parts: [.file("file", content)], isClosed: false)
        let cases: [(String, Int, String?, Reply)] = try await [
            (
                "other bytes than the digest's", 422, "CHUNK_DIGEST_MISMATCH",
                client.direct(content, headers: [("Content-Digest", contentDigest(crc32c: crc32c(other)))])
            ),
            (
                "other bytes than the SHA-256's", 422, "CHUNK_DIGEST_MISMATCH",
                client.direct(content, headers: [("Content-Digest", contentDigest(sha256: other))])
            ),
            ("other bytes than hash", 422, "HASH_MISMATCH", client.direct(content, query: "&hash=\(sha256(other))")),
            (
                "no name", 400, nil,
                client.send(.POST, "/files/upload/direct", headers: [("Content-Type", "application/octet-stream")], body: content)
            ),
            ("a bad name", 400, "INVALID_FILE_NAME", client.direct(content, name: "a/b")),
            ("no such pool", 404, "NOT_FOUND", client.direct(content, query: "&poolId=\(UUID().uuidString)")),
            ("no pool's id", 400, "INVALID_REQUEST", client.direct(content, query: "&poolId=x")),
            ("no such bundle", 404, "NOT_FOUND", client.direct(content, query: "&bundleId=\(UUID().uuidString)")),
            ("an expiry in the past", 400, "INVALID_REQUEST", client.direct(content, query: "&expiredAt=2001-01-01T00:00:00Z")),
            (
                "a form without its end", 400, "INVALID_MULTIPART",
                client.send(.POST, "/files/upload/direct", headers: [("Content-Type", form.contentType)], body: form.bytes)
            ),
        ]
        for (comment, status, code, reply) in cases {
            if let code { expectRefusal(reply, status, code, comment: comment) } else { expectRefusal(reply, status, comment: comment) }
        }
        let quota = try await client.quota()
        #expect(quota.usedBytes == 0)
        #expect(quota.reservedBytes == 0)
        #expect(try await client.get("/files/me").header("X-Total") == "0")
    }

    /// The refusal comes while the body is still being sent, and it arrives.
    @Test(arguments: ChunkForm.allCases, [true, false]) func aTooLargeFileIsRefused(_ form: ChunkForm, _ announced: Bool) async throws {
        let server = try await SharedServer.get()
        // Each case has an account of its own: the other ones' reservations are open while they run.
        let client = try await SharedServer.client("direct-large-\(form)-\(announced)")
        let large = bytes(SharedServer.directLimit + 100_000)
        let (type, body): (String, [UInt8]) =
            switch form {
            case .raw: ("application/octet-stream", large)
            case .multipart: (Multipart(parts: []).contentType, Multipart(parts: [.file("file", large)]).bytes)
            }
        let framed = announced ? body : Array((String(body.count, radix: 16) + "\r\n").utf8) + body + Array("\r\n0\r\n\r\n".utf8)
        let reply = try await RawConnection.exchange(
            port: server.port,
            RawConnection.request(
                "POST /api/files/upload/direct?fileName=large.bin", token: try #require(client.token),
                headers: ["Content-Type: \(type)", announced ? "Content-Length: \(body.count)" : "Transfer-Encoding: chunked"], body: framed
            ))
        expectRefusal(try #require(reply, "closed without a reply"), 413, "PAYLOAD_TOO_LARGE")
        #expect(try await client.quota().reservedBytes == 0)
        #expect(try await client.get("/files/me").header("X-Total") == "0")
    }
}
