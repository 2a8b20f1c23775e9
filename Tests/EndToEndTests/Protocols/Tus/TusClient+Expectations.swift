import DriveModel
import Foundation
import Testing

extension Reply {
    /// `Upload-Offset` of the answer.
    var offset: Int? { header("Upload-Offset").flatMap { Int($0) } }
}

// What must be true of an upload, on the wire and in Drive's own API.
extension TusClient {
    /// Adds bytes that must be taken.
    func add(
        _ text: String, to upload: TusUpload, at offset: Int, _ fields: [String] = [], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try await add(Array(text.utf8), to: upload, at: offset, fields, sourceLocation: sourceLocation)
    }

    func add(
        _ bytes: [UInt8], to upload: TusUpload, at offset: Int, _ fields: [String] = [], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let reply = try await patch(upload, offset, bytes, fields, sourceLocation: sourceLocation)
        try #require(reply.status == 204, "PATCH at \(offset): \(reply)", sourceLocation: sourceLocation)
        #expect(reply.offset == offset + bytes.count, "PATCH at \(offset)", sourceLocation: sourceLocation)
    }

    /// Sends what is missing, as a client does whose last connection was reset: the server may learn of that request only
    /// after the first look, and then says `409` with where it stands.
    func goOn(with content: [UInt8], to upload: TusUpload, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        for _ in 0..<5 {
            let offset = try await offset(of: upload, sourceLocation: sourceLocation)
            let reply = try await patch(upload, offset, Array(content[offset...]), sourceLocation: sourceLocation)
            if reply.status == 409 { continue }
            try #require(reply.status == 204, "PATCH at \(offset): \(reply)", sourceLocation: sourceLocation)
            return
        }
        Issue.record("the offset never came to rest", sourceLocation: sourceLocation)
    }

    /// The offset that `HEAD` gives now. Throws where it gives none.
    func offset(of upload: TusUpload, sourceLocation: SourceLocation = #_sourceLocation) async throws -> Int {
        let reply = try await head(upload, sourceLocation: sourceLocation)
        try #require(reply.status == 200, "HEAD: \(reply)", sourceLocation: sourceLocation)
        return try #require(reply.offset, "HEAD without an offset", sourceLocation: sourceLocation)
    }

    func expectOffset(_ offset: Int, of upload: TusUpload, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        #expect(try await self.offset(of: upload, sourceLocation: sourceLocation) == offset, sourceLocation: sourceLocation)
    }

    /// Fails the test where the answer has another status, or the upload another offset than before.
    func expectRefused(
        _ reply: Reply, _ statuses: Int..., upload: TusUpload? = nil, offset: Int = 0, comment: String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        #expect(statuses.contains(reply.status), "\(comment) \(reply)", sourceLocation: sourceLocation)
        if let upload { try await expectOffset(offset, of: upload, sourceLocation: sourceLocation) }
    }

    /// The upload in Drive's own list of tasks.
    func summary(of upload: TusUpload, sourceLocation: SourceLocation = #_sourceLocation) async throws -> UploadSummary {
        struct Details: Decodable {
            var task: UploadSummary
        }
        let details: Details = try await drive.get("/files/upload/tasks/\(upload.id)/details").decode(sourceLocation: sourceLocation)
        return details.task
    }

    /// The file that the upload became.
    func file(of upload: TusUpload, sourceLocation: SourceLocation = #_sourceLocation) async throws -> CloudFile {
        let summary = try await summary(of: upload, sourceLocation: sourceLocation)
        #expect(summary.status == .completed, sourceLocation: sourceLocation)
        let id = try #require(summary.fileId, "the upload became no file: \(summary.status)", sourceLocation: sourceLocation)
        return try await drive.get("/files/\(id)/info").decode(sourceLocation: sourceLocation)
    }

    /// Fails the test where the upload is not complete on the wire and a file with these bytes in Drive.
    @discardableResult
    func expectFile(
        _ bytes: [UInt8], of upload: TusUpload, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> CloudFile {
        let reply = try await head(upload, sourceLocation: sourceLocation)
        #expect(reply.status == 200 && reply.offset == bytes.count, "HEAD: \(reply.headers)", sourceLocation: sourceLocation)
        #expect(reply.header("Upload-Length") == "\(bytes.count)", sourceLocation: sourceLocation)
        let file = try await file(of: upload, sourceLocation: sourceLocation)
        try await drive.expectContent(bytes, of: file, sourceLocation: sourceLocation)
        return file
    }

    func expectFile(_ text: String, of upload: TusUpload, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await expectFile(Array(text.utf8), of: upload, sourceLocation: sourceLocation)
    }

    /// Waits until Drive's own API, which ends no request, tells of so many bytes; some time at most, as it may tell only what
    /// was written. A `HEAD` that came before the last bytes would end the request they belong to.
    func waitForArrival(of offset: Int, in upload: TusUpload) async throws {
        let deadline = ContinuousClock.now + .seconds(2)
        while try await summary(of: upload).bytesUploaded < offset, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(25))
        }
    }

    /// Waits until a final upload is put together: from then on it has an offset. Returns the answer that has it.
    @discardableResult
    func waitUntilJoined(_ upload: TusUpload, sourceLocation: SourceLocation = #_sourceLocation) async throws -> Reply {
        var last: Reply?
        try await eventually(within: .seconds(20), "the concatenation", every: .milliseconds(50)) {
            let reply = try await head(upload, sourceLocation: sourceLocation)
            try #require(reply.status == 200, "HEAD of a final: \(reply)", sourceLocation: sourceLocation)
            last = reply
            return reply.offset != nil
        }
        return try #require(last, sourceLocation: sourceLocation)
    }
}

/// A pair of `Upload-Metadata`.
func tusPair(_ key: String, _ value: String) -> String { "\(key) \(Data(value.utf8).base64EncodedString())" }

/// A value of `Upload-Checksum`.
func tusChecksum(_ bytes: [UInt8]) -> String { "sha256 \(Data(sha256Digest(bytes)).base64EncodedString())" }
