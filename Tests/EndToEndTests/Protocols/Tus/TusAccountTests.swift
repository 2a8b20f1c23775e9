import DriveModel
import Foundation
import Testing

/// Whose upload it is, under which address, and what Drive's own API tells of it.
@Suite struct TusAccountTests {
    /// To another account an upload is not there at all.
    @Test func anotherAccountFindsNothing() async throws {
        let owner = try await TusClient.shared("tus-owner")
        let stranger = try await TusClient.shared("tus-stranger")
        let part = try await owner.part("hello")
        let upload = try await owner.begin(5)
        try await owner.add("he", to: upload, at: 0)
        let finished = try await owner.begin(5, [TusClient.octets], body: Array("hello".utf8))
        for target in [upload, part, finished] {
            #expect(try await stranger.head(target).status == 404)
            #expect(try await stranger.patch(target, 2, "llo").status == 404)
            #expect(try await stranger.delete(target).status == 404)
        }
        let stolen = try await stranger.create("Upload-Concat: final;\(part.path)")
        try await stranger.expectRefused(stolen, 400, 404, comment: "a part of another's")
        try await owner.add("llo", to: upload, at: 2)
        try await owner.expectFile("hello", of: upload)
        try await owner.expectFile("hello", of: finished)
    }

    /// A token runs out in the middle of an upload; with a new one it goes on where it was.
    @Test func aTokenThatRunsOutIsRenewed() async throws {
        let tus = try await TusClient.shared("tus-token")
        var claims = try #require(tus.token.flatMap { HandSignedToken($0) })
        claims.claims["exp"] = .integer(Int64(Date().timeIntervalSince1970) + 4)
        var short = tus
        short.token = try await claims.signed(with: SharedServer.signingKey())
        let upload = try await short.begin(10)
        try await short.add("hello", to: upload, at: 0)
        try await eventually(within: .seconds(20), "the token to run out", every: .milliseconds(200)) {
            try await short.head(upload).status == 401
        }
        let refused = try await short.patch(upload, 5, "world")
        #expect(refused.status == 401, "\(refused)")
        try await tus.expectOffset(5, of: upload)
        try await tus.add("world", to: upload, at: 5)
        try await tus.expectFile("helloworld", of: upload)
    }

    @Test func aWrongTokenIsRefusedEverywhere() async throws {
        let tus = try await TusClient.shared("tus-token")
        let upload = try await tus.begin(5)
        var wrong = tus
        for token in [nil, "", "hunter2", try #require(tus.token) + "x"] {
            wrong.token = token
            let replies = [
                try await wrong.create("Upload-Length: 5"), try await wrong.head(upload), try await wrong.patch(upload, 0, "hello"),
                try await wrong.delete(upload),
            ]
            #expect(replies.map(\.status) == [401, 401, 401, 401], "\(token ?? "none"): \(replies)")
        }
        try await tus.expectOffset(0, of: upload)
    }

    /// Under the other prefix everything is the same, and `Location` stays there.
    @Test func theOtherPrefix() async throws {
        let tus = try await TusClient.shared("tus-prefix", prefix: "/drive")
        let upload = try await tus.begin(11)
        #expect(upload.location.hasPrefix("http://127.0.0.1:\(tus.port)/drive/tus/"), "\(upload.location)")
        try await tus.add("hello ", to: upload, at: 0)
        // It is one and the same upload.
        var other = tus
        other.endpoint = "/api/tus"
        let same = try TusUpload(location: "http://127.0.0.1:\(tus.port)/api/tus/\(upload.id)")
        try await other.expectOffset(6, of: same)
        try await tus.add("world", to: upload, at: 6)
        try await tus.expectFile("hello world", of: upload)
    }

    /// What arrives is an upload like any other: in the list, counted, and with a file at the end.
    @Test func itIsAnUploadLikeAnyOther() async throws {
        let tus = try await TusClient.shared("tus-task")
        let content = bytes(100_000, seed: 8)
        let metadata = "Upload-Metadata: \(tusPair("filename", "Grüße.txt")),\(tusPair("filetype", "text/plain"))"
        let upload = try await tus.begin(content.count, [metadata])
        try await tus.add(Array(content[..<40_000]), to: upload, at: 0)

        let open: [UploadSummary] = try await tus.drive.get("/files/upload/tasks").decode()
        let half = try #require(open.first { $0.taskId == upload.id })
        #expect(half.fileName == "Grüße.txt")
        #expect(half.contentType == "text/plain")
        #expect(half.fileSize == Int64(content.count))
        #expect(half.bytesUploaded == 40_000)
        #expect(half.progress == 40)
        #expect(half.status == .inProgress)
        #expect(half.fileId == nil)
        #expect(try await tus.drive.quota().reservedBytes == Int64(content.count))

        try await tus.add(Array(content[40_000...]), to: upload, at: 40_000)
        let file = try await tus.expectFile(content, of: upload)
        #expect(file.name == "Grüße.txt")
        #expect(file.contentType == "text/plain")
        let files: [CloudFile] = try await tus.drive.get("/files/me").decode()
        #expect(files.map(\.id) == [file.id])
        let quota = try await tus.drive.quota()
        #expect(quota.usedBytes == Int64(content.count) && quota.reservedBytes == 0, "\(quota)")
        let download = try await tus.drive.get("/files/\(file.id)")
        #expect(download.header("Content-Type")?.hasPrefix("text/plain") == true)
    }

    /// Cancelled by Drive's own API, it is gone for the protocol, too.
    @Test func aCancelledUploadIsGone() async throws {
        let tus = try await TusClient.shared("tus-cancelled")
        let upload = try await tus.begin(5)
        try await tus.add("he", to: upload, at: 0)
        #expect(try await tus.drive.delete("/files/upload/task/\(upload.id)").status < 300)
        let replies = [try await tus.head(upload), try await tus.patch(upload, 2, "llo"), try await tus.delete(upload)]
        #expect(replies.map(\.status) == [410, 410, 410], "\(replies)")
    }

    /// A page of another origin can send and read everything the protocol has.
    @Test func browsersMayReadAndSendAllOfIt() async throws {
        let origin = "https://app.example.org"
        try await withServer("tus-cors", environment: ["DRIVE_CORS_ORIGINS": origin]) { server in
            let tus = try await TusClient.of(server)
            var anonymous = tus
            anonymous.token = nil
            let preflight = try await anonymous.options(
                nil, ["Origin: \(origin)", "Access-Control-Request-Method: PATCH", "Access-Control-Request-Headers: tus-resumable"])
            func list(_ reply: Reply, _ name: String) -> Set<String> {
                Set((reply.header(name) ?? "").lowercased().split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) })
            }
            #expect([200, 204].contains(preflight.status), "\(preflight)")
            #expect(preflight.header("Tus-Version") == "1.0.0", "the protocol's own answer is in the preflight's")
            #expect(list(preflight, "Access-Control-Allow-Methods").isSuperset(of: ["post", "head", "patch", "delete", "options", "get"]))
            let sent: Set = [
                "authorization", "content-type", "tus-resumable", "upload-length", "upload-offset", "upload-metadata",
                "upload-defer-length", "upload-concat", "upload-checksum", "x-http-method-override", "x-requested-with", "x-request-id",
            ]
            #expect(list(preflight, "Access-Control-Allow-Headers").isSuperset(of: sent))
            let read: Set = [
                "location", "upload-offset", "upload-length", "upload-defer-length", "upload-metadata", "upload-concat",
                "upload-expires", "tus-version", "tus-resumable", "tus-max-size", "tus-extension", "tus-checksum-algorithm", "retry-after",
            ]
            // Refusals too: a page sees an answer without these as a broken network.
            let replies = [
                try await tus.create("Upload-Length: 5", "Origin: \(origin)"), try await tus.create("Origin: \(origin)"),
                try await tus.send("HEAD", "\(tus.endpoint)/nope", [TusClient.version, "Origin: \(origin)"]),
                try await anonymous.create("Upload-Length: 5", "Origin: \(origin)"),
            ]
            #expect(replies.map(\.status) == [201, 400, 404, 401])
            for reply in replies {
                #expect(reply.header("Access-Control-Allow-Origin") == origin, "\(reply)")
                #expect(list(reply, "Access-Control-Expose-Headers").isSuperset(of: read), "\(reply.headers)")
                #expect(list(reply, "Vary").contains("origin"), "\(reply.headers)")
            }
        }
    }
}
