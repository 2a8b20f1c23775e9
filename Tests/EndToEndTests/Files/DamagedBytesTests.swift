import DriveModel
import Foundation
import Testing

/// Scenario 7: a bit that flips on the disk never reaches a reader as a whole file.
@Suite struct DamagedBytesTests {
    private struct Entry: Decodable {
        var action: String
        var objectId: String?
    }

    /// One piece of a download, several of them, and a file that was written around the page cache.
    @Test(arguments: [(1000, 0), (3 << 20, 0), (3 << 20, 1)]) func aFlippedBitCutsTheDownloadShort(size: Int, direct: Int) async throws {
        let data = try DataFolder.make("damaged-bytes")
        defer { data.remove() }
        let token = try await data.token(account: "reader", admin: true)
        let content = bytes(size)
        let environment = direct == 1 ? ["STORAGE_DIRECT_IO_FROM": "0"] : [:]
        try await withServer("damaged-bytes", environment: environment, data: data, checks: false) { server in
            let client = TestClient(base: server.base, token: token)
            let file = try await client.upload(content, more: ["chunkSize": 1_048_576])
            try await client.expectContent(content, of: file)
            try flip(bit: 3, ofByte: size / 2, in: data)

            let connection = try RawConnection(port: server.port)
            await connection.send(
                "GET /api/files/\(file.id) HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \(token)\r\nConnection: close\r\n\r\n")
            let received = await connection.readToEnd()
            // The head promised all of it, and less came: no client takes that for the file.
            #expect(String(decoding: received.prefix(20), as: UTF8.self).hasPrefix("HTTP/1.1 200"))
            #expect(received.count < size)

            // A range that does not need the damaged byte is served, and the server goes on.
            let range = try await client.get("/files/\(file.id)", headers: [("Range", "bytes=0-99")])
            #expect(range.body == Array(content[..<100]))
            try await eventually(within: .seconds(10), "the damage is in the audit log") {
                let entries: [Entry] = try await client.get("/admin/audit").decode()
                return entries.contains { $0.action == "file.damaged" && $0.objectId == file.id }
            }
            let check = try await data.check()
            #expect(check.exit == .exited(1))
            #expect(check.output.contains("blob.damaged"))

            // Who brings the same bytes again mends it for everybody.
            let again = try await client.upload(content, more: ["chunkSize": 1_048_576])
            try await client.expectContent(content, of: again)
            try await client.expectContent(content, of: file)
        }
        try await data.expectClean()
    }

    private func flip(bit: Int, ofByte index: Int, in data: DataFolder) throws {
        let path = try #require(data.blobFiles.first)
        let handle = try #require(FileHandle(forUpdatingAtPath: data.path + "/" + path))
        defer { try? handle.close() }
        try handle.seek(toOffset: UInt64(index))
        let byte = try #require(try handle.read(upToCount: 1)?.first)
        try handle.seek(toOffset: UInt64(index))
        try handle.write(contentsOf: [byte ^ UInt8(1 << bit)])
        try handle.synchronize()
    }
}
