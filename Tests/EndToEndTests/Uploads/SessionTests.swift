import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// The token of one upload, and answers that are given again.
@Suite struct SessionTests {
    @Test func aSessionTokenIsGoodForItsUploadAlone() async throws {
        let client = try await SharedServer.client("session")
        let upload = try await client.begin(bytes(2 * 65_536))
        let other = try await client.begin(bytes(2 * 65_536, seed: 2))
        let file = try await client.store(bytes(10))
        let session = client.with(token: upload.sessionToken)

        let refused: [(HTTPMethod, String)] = [
            (.GET, "/files/me"), (.GET, "/files/upload/tasks"), (.GET, "/files/\(file.id)"), (.DELETE, "/files/\(file.id)"),
            (.GET, "/billing/quota"), (.POST, "/files/upload/create"), (.POST, "/files/upload/direct?fileName=x"),
            (.POST, "/files/upload/chunk/\(other.taskId)/0"), (.POST, "/files/upload/complete/\(other.taskId)"),
            (.GET, "/files/upload/resume/\(other.taskId)"), (.GET, "/files/upload/progress/\(other.taskId)"),
            (.POST, "/files/upload/extend/\(other.taskId)"), (.DELETE, "/files/upload/task/\(other.taskId)"),
            (.DELETE, "/files/upload/tasks/cleanup"), (.GET, "/bundles"), (.GET, "/admin/accounts"),
        ]
        for (method, path) in refused {
            let reply = try await session.send(method, path, body: method == .POST ? [] : nil)
            #expect([401, 403, 404].contains(reply.status), "\(method) \(path): \(reply)")
            #expect(reply.error != nil, "\(method) \(path): \(reply)")
        }
        #expect(try await client.progress(other.taskId).status == .inProgress)

        try await session.sendChunks([0], of: upload)
        let progress: UploadProgress = try await session.get("/files/upload/progress/\(upload.taskId)").decode()
        #expect(progress.chunksUploaded == 1)
        let resume: ResumeInformation = try await session.get("/files/upload/resume/\(upload.taskId)").decode()
        #expect(resume.uploadedChunks == [0])
        try await session.sendChunks([1], of: upload)
        let finished = try await session.finish(upload.taskId)
        try await client.expectContent(upload.bytes, of: finished)
    }

    @Test func extendingGivesANewTokenAndALaterEnd() async throws {
        let client = try await SharedServer.client("extend")
        let created: CreateUploadReply = try await client.create(size: 10).decode()
        let taskId = try #require(created.taskId)
        let before = try #require(created.sessionExpiresAt)
        let extended = try await client.with(token: created.sessionToken).send(.POST, "/files/upload/extend/\(taskId)")
        try #require(extended.status == 200, "\(extended)")
        let token = try #require(extended.json["sessionToken"]?.string)
        let after = try #require(extended.json["sessionExpiresAt"]?.string.flatMap { Timestamp($0) })
        #expect(after > before)
        let reply = try await client.with(token: token).get("/files/upload/progress/\(taskId)")
        #expect(reply.status == 200, "\(reply)")
    }

    @Test func anUploadGoesOnAfterTheAccountsTokenRanOut() async throws {
        let client = try await SharedServer.client("short-token")
        let upload = try await client.begin(bytes(2 * 65_536))
        // The account's token, as it is once its time is over.
        var token = try #require(client.token.flatMap { HandSignedToken($0) })
        token.claims["exp"] = .integer(Int64(Date().timeIntervalSince1970) - 1)
        let expired = try await client.with(token: token.signed(with: SharedServer.signingKey()))
        expectRefusal(try await expired.sendChunk(0, of: upload), 401, "UNAUTHENTICATED")
        let session = client.with(token: upload.sessionToken)
        let extended = try await session.send(.POST, "/files/upload/extend/\(upload.taskId)")
        let longer = client.with(token: try #require(extended.json["sessionToken"]?.string))
        try await longer.sendChunks(upload.indexes, of: upload)
        #expect(try await longer.finish(upload.taskId).hash == sha256(upload.bytes))
    }

    @Test func aTokenEndsWithItsLifetime() async throws {
        let server = try await SharedServer.get()
        let client = TestClient(base: server.base, token: try await server.data.token(account: "short-lived", lifetime: "2s"))
        let claims = try #require(client.token.flatMap { HandSignedToken($0) }).claims
        #expect((claims["exp"]?.integer ?? 0) - (claims["iat"]?.integer ?? 0) == 2)
        try await eventually(within: .seconds(10), "the token to expire", every: .milliseconds(200)) {
            try await client.get("/files/me").status == 401
        }
    }

    @Test func aDisabledAccountsSessionTokenIsRefused() async throws {
        let server = try await SharedServer.get()
        let client = try await SharedServer.client("disabled-session")
        let upload = try await client.begin(bytes(2 * 65_536))
        try await server.data.drive("account", "disable", "disabled-session")
        let session = client.with(token: upload.sessionToken)
        try await eventually(within: .milliseconds(1500), "the disabled account's session to be refused") {
            try await session.get("/files/upload/progress/\(upload.taskId)").status == 403
        }
        expectRefusal(try await session.sendChunk(0, of: upload), 403, "ACCOUNT_DISABLED")
    }

    @Test func anIdempotencyKeyGivesTheFirstAnswerAgain() async throws {
        let client = try await SharedServer.client("idempotent")
        let first: CreateUploadReply = try await client.create(size: 100, idempotencyKey: "k1").decode()
        let second: CreateUploadReply = try await client.create(size: 100, idempotencyKey: "k1").decode()
        #expect(first.taskId == second.taskId)
        #expect(second.sessionToken != nil)
        #expect(try await client.quota().reservedBytes == 100)
        expectRefusal(try await client.create(size: 101, idempotencyKey: "k1"), 422, "IDEMPOTENCY_KEY_REUSED")
        expectRefusal(try await client.create(size: 100, idempotencyKey: String(repeating: "k", count: 256)), 400, "INVALID_REQUEST")
        // Another account's key of the same name is another key.
        let other: CreateUploadReply = try await SharedServer.client("idempotent-2").create(size: 101, idempotencyKey: "k1").decode()
        #expect(other.taskId != first.taskId)

        let content = bytes(50)
        let keyed = [("Idempotency-Key", "k2")]
        let file: CloudFile = try await client.direct(content, headers: keyed).decode()
        #expect(try await client.direct(content, headers: keyed).decode() == file)
        expectRefusal(try await client.direct(content, name: "other.bin", headers: keyed), 422, "IDEMPOTENCY_KEY_REUSED")
        expectRefusal(try await client.direct(content, headers: [("Idempotency-Key", "k1")]), 422, "IDEMPOTENCY_KEY_REUSED")
        #expect(try await client.quota().usedBytes == 50)
    }

    @Test func requestsWithOneKeyAtOnceMakeOneUpload() async throws {
        let client = try await SharedServer.client("idempotent-race")
        let ids = try await withThrowingTaskGroup(of: String?.self) { group in
            for _ in 0..<16 {
                group.addTask { try await client.create(size: 100, idempotencyKey: "same").decode(CreateUploadReply.self).taskId }
            }
            return try await group.reduce(into: Set<String?>()) { $0.insert($1) }
        }
        #expect(ids.count == 1)
        #expect(try await client.quota().reservedBytes == 100)
        #expect(try await client.get("/files/upload/tasks").header("X-Total") == "1")
    }

    @Test func onlyOnesOwnContentIsADuplicate() async throws {
        let owner = try await SharedServer.client("owner")
        let stranger = try await SharedServer.client("stranger")
        let content = bytes(70_000, seed: 77)
        let file = try await owner.upload(content, name: "mine.bin")
        let own: CreateUploadReply = try await owner.create(size: content.count, hash: sha256(content)).decode()
        #expect(own.fileExists)
        #expect(own.file == file)
        #expect(own.taskId == nil)
        // Of another size it is not that file; upper-case hex is the same hash.
        let resized: CreateUploadReply = try await owner.create(size: content.count + 1, hash: sha256(content)).decode()
        #expect(!resized.fileExists)
        let upper: CreateUploadReply = try await owner.create(size: content.count, hash: sha256(content).uppercased()).decode()
        #expect(upper.fileExists)

        // A known and an unknown hash look the same to a stranger, field by field.
        let known = try await stranger.create(size: content.count, hash: sha256(content))
        let unknown = try await stranger.create(size: content.count, hash: sha256(bytes(5)))
        let (knownFields, unknownFields) = (try #require(known.json.object), try #require(unknown.json.object))
        #expect(known.status == unknown.status)
        #expect(Set(knownFields.keys) == Set(unknownFields.keys))
        #expect(known.body.count == unknown.body.count)
        for key in ["fileExists", "file", "chunkSize", "chunksCount"] { #expect(knownFields[key] == unknownFields[key], "\(key)") }
        // The stranger's own bytes make a file of its own, charged in full.
        let theirs = try await stranger.upload(content)
        #expect(theirs.id != file.id)
        #expect(try await stranger.quota().usedBytes == Int64(content.count))
        expectRefusal(try await stranger.get("/files/\(file.id)"), 404, "FILE_NOT_FOUND")
    }
}
