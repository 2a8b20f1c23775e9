import DriveModel
import NIOHTTP1
import Testing

/// What the metadata of an upload says of its file.
@Suite struct TusFileMetadataTests {
    @Test func theFileIsWhatItsMetadataSays() async throws {
        let tus = try await TusClient.shared("tus-metadata")
        let content = bytes(100_000)
        let bundle: FileBundle = try await tus.drive.send(.POST, "/bundles", json: ["name": "holiday"]).decode()
        let pools: [Pool] = try await tus.drive.get("/pools").decode()
        let pool = try #require(pools.first)
        let pairs = [
            tusPair("filename", "beach.png"), tusPair("filetype", "image/png"), tusPair("pool", "\(pool.id)"),
            tusPair("bundle", "\(bundle.id)"), tusPair("hash", sha256(content)), tusPair("expiry", "2099-01-01T00:00:00Z"),
        ]
        let upload = try await tus.begin(content.count, ["Upload-Metadata: \(pairs.joined(separator: ","))"])
        try await tus.add(content, to: upload, at: 0)
        let file = try await tus.expectFile(content, of: upload)
        #expect(file.name == "beach.png" && file.contentType == "image/png")
        #expect(file.poolId == pool.id && file.bundleId == bundle.id)
        #expect(file.expiredAt == Timestamp("2099-01-01T00:00:00Z"))
    }

    /// Other bytes than announced: no file, and the upload does not pass for a finished one.
    @Test func otherBytesThanAnnouncedAreNoFile() async throws {
        let tus = try await TusClient.shared("tus-metadata-hash")
        let upload = try await tus.begin(5, ["Upload-Metadata: \(tusPair("hash", sha256(Array("other".utf8))))"])
        let reply = try await tus.patch(upload, 0, "hello")
        #expect(reply.status == 422 && reply.error?.code == "HASH_MISMATCH", "\(reply)")
        #expect(try await tus.head(upload).status == 410)
    }
}
