import DriveModel
import Foundation
import TestSupport
import Testing

/// A server of its own with two further pools, on whose files tasks work. A copy of a file takes a while, so that what
/// happens meanwhile can be seen.
struct FileTaskScene: Sendable {
    let server: ServerProcess
    let admin: TestClient
    let client: TestClient
    let source: Pool
    let target: Pool

    /// How long the copy of one file takes.
    static let copyTime = Duration.milliseconds(100)

    static func with(_ name: String, _ body: @escaping @Sendable (FileTaskScene) async throws -> Void) async throws {
        // What is left behind goes within the test, so that the checker sees the end of everything.
        let settings = [
            "DRIVE_FAULTS": "staging.copy:delay=100ms", "UPLOAD_CLEANUP_INTERVAL_MINUTES": "1s", "DRIVE_BLOB_GRACE_PERIOD": "0s",
        ]
        try await withServer(name, environment: settings) { server in
            let admin = TestClient(base: server.base, token: try await server.data.token(account: "root", admin: true))
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            try await body(
                FileTaskScene(
                    server: server, admin: admin, client: client, source: try await admin.makePool("source"),
                    target: try await admin.makePool("target")))
        }
    }

    /// Files of different contents in the source pool.
    func store(_ count: Int, size: Int = 40_000, seed: UInt64 = 1, name: String = "file") async throws -> [StoredFile] {
        var files: [StoredFile] = []
        for index in 0..<count {
            let content = bytes(size + index, seed: seed * 1000 + UInt64(index))
            let file = try await client.store(content, name: "\(name)-\(index).bin", query: "&poolId=\(source.text)")
            files.append(StoredFile(file: file, content: content))
        }
        return files
    }

    /// Runs `work` while the files are read again and again; each reading is whole, whichever pool it comes from.
    func reading<Result: Sendable>(_ files: [StoredFile], _ work: @escaping @Sendable () async throws -> Result) async throws -> Result {
        let client = client
        return try await withThrowingTaskGroup(of: Int.self) { group in
            let isOver = Box<Bool>()
            group.addTask {
                var readings = 0
                repeat {
                    for stored in files {
                        try await client.expectContent(stored.content, of: stored.file)
                        readings += 1
                    }
                } while isOver.current == nil
                return readings
            }
            defer { isOver.fill(true) }
            let result = try await work()
            isOver.fill(true)
            let readings = try await group.next() ?? 0
            #expect(readings > files.count, "the files were read while it worked")
            return result
        }
    }

    /// Waits until the bytes of just so many contents are stored: none twice, none left over.
    func expectBlobs(_ count: Int) async throws {
        let data = server.data
        try await eventually(within: .seconds(15), "\(count) blobs, each once", every: .milliseconds(100)) {
            data.blobFiles.count == count
        }
    }
}

/// A file with the bytes it is to have.
struct StoredFile: Sendable {
    var file: CloudFile
    var content: [UInt8]
}

extension [StoredFile] {
    /// The ids, as the API takes them.
    var ids: JSONValue { .array(map { .string($0.file.id) }) }
}
