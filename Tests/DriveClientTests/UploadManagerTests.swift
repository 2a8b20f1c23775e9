import DriveModel
import Foundation
import Testing

@testable import DriveClient

@Suite struct UploadManagerTests {
    @Test func sendsAllChunksAndVerifies() async throws {
        try await Fixture.with { fixture in
            let (path, bytes) = try fixture.write(4500)
            let file = try await fixture.manager().upload(file: path).result()
            #expect(file.hash == sha256(bytes))
            #expect(file.name == "data.bin")
            #expect(await fixture.drive.contents[file.id] == bytes)
            #expect(await fixture.drive.count("POST /api/files/upload/chunk/") == 5)
            #expect(fixture.journals.isEmpty)
        }
    }

    @Test(arguments: [0, 1, 100]) func sendsASmallFileByOneRequest(size: Int) async throws {
        try await Fixture.with { fixture in
            let (path, bytes) = try fixture.write(size)
            let file = try await fixture.manager().upload(file: path).result()
            #expect(file.hash == sha256(bytes))
            #expect(await fixture.drive.log == ["POST /api/files/upload/direct"])
            #expect(fixture.journals.isEmpty)
        }
    }

    static let passing: [(String, ServerAnswer)] = [
        ("POST /api/files/upload/create", .drop), ("POST /api/files/upload/create", errorAnswer(503, "SHUTTING_DOWN")),
        ("POST /api/files/upload/chunk/task1/2", .drop), ("POST /api/files/upload/chunk/task1/2", errorAnswer(500, "INTERNAL_ERROR")),
        ("POST /api/files/upload/chunk/task1/2", errorAnswer(429, "RATE_LIMITED", headers: [("Retry-After", "7")])),
        ("POST /api/files/upload/chunk/task1/2", errorAnswer(409, "CHUNK_IN_PROGRESS")),
        ("POST /api/files/upload/chunk/task1/2", errorAnswer(422, "CHUNK_DIGEST_MISMATCH")),
        ("POST /api/files/upload/chunk/task1/2", errorAnswer(401, "UNAUTHENTICATED")),
        ("POST /api/files/upload/chunk/task1/2", .reply(502, [], "<html>a proxy's page</html>")),
        ("POST /api/files/upload/complete", .drop), ("POST /api/files/upload/complete", errorAnswer(500, "INTERNAL_ERROR")),
        ("POST /api/files/upload/complete", errorAnswer(409, "UPLOAD_INCOMPLETE", ["missingChunks": [1]])),
        (
            "POST /api/files/upload/complete",
            .reply(202, [("Retry-After", "3")], #"{"taskId":"task1","status":"Verifying","progress":10}"#)
        ),
    ]

    @Test(arguments: passing.indices, [1, 3]) func survivesWhatPasses(index: Int, times: Int) async throws {
        let (prefix, answer) = Self.passing[index]
        try await Fixture.with { fixture in
            await fixture.drive.instead(of: prefix, times: times, answer)
            let (path, bytes) = try fixture.write(4500)
            let file = try await fixture.manager().upload(file: path).result()
            #expect(file.hash == sha256(bytes))
            #expect(await fixture.drive.contents[file.id] == bytes)
            #expect(await fixture.drive.uploads.count == 1)
        }
    }

    static let refused: [(String, ServerAnswer, String)] = [
        ("POST /api/files/upload/create", errorAnswer(403, "QUOTA_EXCEEDED"), "QUOTA_EXCEEDED"),
        ("POST /api/files/upload/create", errorAnswer(401, "UNAUTHENTICATED"), "UNAUTHENTICATED"),
        ("POST /api/files/upload/chunk", errorAnswer(403, "FORBIDDEN"), "FORBIDDEN"),
        ("POST /api/files/upload/complete", errorAnswer(501, "NOT_IMPLEMENTED"), "NOT_IMPLEMENTED"),
    ]

    @Test(arguments: refused.indices) func reportsARefusal(index: Int) async throws {
        let (prefix, answer, code) = Self.refused[index]
        try await Fixture.with { fixture in
            await fixture.drive.instead(of: prefix, answer)
            let (path, _) = try fixture.write(4500)
            let error = await #expect(throws: DriveClientError.self) { try await fixture.manager().upload(file: path).result() }
            #expect(error?.serverReply?.code == code)
            #expect(error?.serverReply?.requestId == "r1")
        }
    }

    @Test func givesUpWhenPatienceEnds() async throws {
        try await Fixture.with { fixture in
            await fixture.drive.instead(of: "POST /api/files/upload/chunk", times: 10_000, .drop)
            let (path, _) = try fixture.write(4500)
            let error = await #expect(throws: DriveClientError.self) {
                try await fixture.manager(patience: .seconds(60)).upload(file: path).result()
            }
            guard case .gaveUp = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(fixture.journals.count == 1)
        }
    }

    @Test func retryGoesOnAfterAFailure() async throws {
        try await Fixture.with { fixture in
            await fixture.drive.instead(of: "POST /api/files/upload/complete", errorAnswer(403, "FORBIDDEN"))
            let (path, _) = try fixture.write(4500)
            let manager = fixture.manager()
            let handle = await manager.upload(file: path)
            await #expect(throws: DriveClientError.self) { try await handle.result() }
            await manager.retry(handle.id)
            _ = try await handle.result()
            #expect(await fixture.drive.count("POST /api/files/upload/chunk/") == 5)
        }
    }

    @Test func anotherProcessSendsOnlyWhatIsMissing() async throws {
        try await Fixture.with { fixture in
            let (path, bytes) = try fixture.write(4500)
            await fixture.interrupt(path)
            #expect(fixture.journals.count == 1)
            let journal = try String(contentsOfFile: "\(fixture.folder)/state/\(fixture.journals[0])", encoding: .utf8)
            #expect(!journal.contains("account-token"))

            let sent = await fixture.drive.log.count
            let file = try await fixture.manager().upload(file: path).result()
            #expect(file.hash == sha256(bytes))
            let later = await fixture.drive.log.dropFirst(sent).filter { $0.contains("/chunk/") }
            #expect(later.allSatisfy { $0.hasSuffix("/3") || $0.hasSuffix("/4") })
            #expect(await fixture.drive.uploads.count == 1)
            #expect(fixture.journals.isEmpty)
        }
    }

    /// What was refused is not asked for again by a later call with other options.
    @Test func aRefusedCreateIsForgotten() async throws {
        try await Fixture.with { fixture in
            await fixture.drive.instead(of: "POST /api/files/upload/create", errorAnswer(400, "INVALID_REQUEST"))
            let (path, bytes) = try fixture.write(4500)
            let wrong = UploadContext(expiredAt: Timestamp(seconds: 1))
            await #expect(throws: DriveClientError.self) { try await fixture.manager().upload(file: path, context: wrong).result() }
            #expect(fixture.journals.isEmpty)
            let file = try await fixture.manager().upload(file: path).result()
            #expect(file.hash == sha256(bytes))
            #expect(await fixture.drive.uploads.values.allSatisfy { $0.request.expiredAt == nil })
        }
    }

    /// A creation whose answer got lost counts only for the same wishes.
    @Test func otherOptionsAfterALostCreateBeginAnew() async throws {
        try await Fixture.with { fixture in
            await fixture.drive.instead(of: "POST /api/files/upload/create", times: 10_000, .drop)
            let (path, _) = try fixture.write(4500)
            await #expect(throws: DriveClientError.self) {
                try await fixture.manager(patience: .seconds(10)).upload(file: path, context: UploadContext(contentType: "a/b")).result()
            }
            #expect(fixture.journals.count == 1)
            await fixture.drive.forgetScript()
            _ = try await fixture.manager().upload(file: path).result()
            #expect(await fixture.drive.uploads.values.map(\.request.contentType) == ["application/octet-stream"])
        }
    }

    static let changes: [(first: UploadContext, second: UploadContext, says: String?)] = [
        (UploadContext(), UploadContext(expiredAt: Timestamp(seconds: 10_000)), "no expiry"),
        (UploadContext(expiredAt: Timestamp(seconds: 10_000)), UploadContext(), "the expiry"),
        (UploadContext(expiredAt: Timestamp(seconds: 10_000)), UploadContext(expiredAt: Timestamp(seconds: 90_000)), "the expiry"),
        (UploadContext(contentType: "a/b"), UploadContext(), "the media type a/b"),
        // A span of time counts from each call.
        (UploadContext(expiredAt: Timestamp(seconds: 10_000)), UploadContext(expiredAt: Timestamp(seconds: 10_050)), nil),
    ]

    @Test(arguments: changes.indices) func otherOptionsForAFileThatIsOnItsWay(index: Int) async throws {
        let (first, second, says) = Self.changes[index]
        try await Fixture.with { fixture in
            let (path, bytes) = try fixture.write(4500)
            await fixture.interrupt(path, context: first)

            if let says {
                let error = await #expect(throws: DriveClientError.self) {
                    try await fixture.manager().upload(file: path, context: second).result()
                }
                guard case .invalidArgument(let reason)? = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                #expect(reason.contains(says) && reason.contains("task1"), "\(reason)")
            }
            // Nothing was lost by asking.
            let file = try await fixture.manager().upload(file: path, context: says == nil ? second : first).result()
            #expect(file.hash == sha256(bytes))
            #expect(await fixture.drive.uploads.keys.sorted() == ["task1"])
        }
    }

    @Test func aFileThatChangedMeanwhileStartsAnew() async throws {
        try await Fixture.with { fixture in
            let (path, _) = try fixture.write(4500)
            await fixture.interrupt(path)

            let (_, changed) = try fixture.write(5100, seed: 2)
            let file = try await fixture.manager().upload(file: path).result()
            #expect(file.hash == sha256(changed))
            #expect(await fixture.drive.count("DELETE /api/files/upload/task/task1") == 1)
            #expect(await fixture.drive.uploads.keys.sorted() == ["task2"])
        }
    }

    @Test func aFileThatChangesWhileItIsSentIsNotPublished() async throws {
        try await Fixture.with { fixture in
            let (path, _) = try fixture.write(4500)
            await fixture.drive.hold(chunk: 4)
            let handle = await fixture.manager(parallel: 1).upload(file: path)
            await fixture.drive.untilHeld()
            _ = try fixture.write(4500, seed: 3, name: "other.bin")
            let file = try #require(FileHandle(forWritingAtPath: path))
            try file.write(contentsOf: Data([1, 2, 3]))
            try file.close()
            await fixture.drive.release()
            await #expect(throws: DriveClientError.fileChanged(path: path)) { try await handle.result() }
            #expect(await fixture.drive.count("POST /api/files/upload/complete") == 0)
            #expect(await fixture.drive.uploads.isEmpty)
        }
    }

    static let ends: [(String, ServerAnswer)] = [
        ("POST /api/files/upload/chunk/task1/3", errorAnswer(410, "TASK_EXPIRED")),
        // It was complete, by an answer that got lost, and its file was deleted since.
        ("POST /api/files/upload/complete", errorAnswer(404, "FILE_NOT_FOUND")),
    ]

    @Test(arguments: ends.indices) func anUploadThatIsOverStartsAnew(index: Int) async throws {
        let (prefix, answer) = Self.ends[index]
        try await Fixture.with { fixture in
            let (path, bytes) = try fixture.write(4500)
            await fixture.drive.instead(of: prefix, answer)
            let file = try await fixture.manager().upload(file: path).result()
            #expect(file.hash == sha256(bytes))
            #expect(await fixture.drive.count("POST /api/files/upload/create") == 2)
        }
    }

    /// It is not the server's word on the upload, which goes on when the way to the server is right again.
    @Test(arguments: [404, 410]) func aPageOfAProxyEndsNoUpload(status: Int) async throws {
        try await Fixture.with { fixture in
            let (path, bytes) = try fixture.write(4500)
            await fixture.interrupt(path)
            await fixture.drive.instead(of: "GET /api/files/upload/resume", .reply(status, [], "<html>a proxy's page</html>"))
            let error = await #expect(throws: DriveClientError.self) { try await fixture.manager().upload(file: path).result() }
            #expect(error?.serverReply?.code == "HTTP_\(status)")
            #expect(fixture.journals.count == 1)
            #expect(try await fixture.manager().upload(file: path).result().hash == sha256(bytes))
            #expect(await fixture.drive.count("POST /api/files/upload/create") == 1)
        }
    }

    @Test func damagedChunksAreFoundAndReplaced() async throws {
        try await Fixture.with { fixture in
            await fixture.drive.damage([1, 4])
            let (path, bytes) = try fixture.write(4500)
            let file = try await fixture.manager(verify: true).upload(file: path).result()
            #expect(await fixture.drive.contents[file.id] == bytes)
            #expect(await fixture.drive.count("POST /api/files/upload/chunk/") == 7)
        }
    }

    @Test func aWrongHashAtTheEndIsReported() async throws {
        try await Fixture.with { fixture in
            await fixture.drive.damage([1])
            let (path, bytes) = try fixture.write(4500)
            let error = await #expect(throws: DriveClientError.self) { try await fixture.manager().upload(file: path).result() }
            guard case .contentMismatch(_, let expected, let actual)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(expected == sha256(bytes))
            #expect(actual != expected)
        }
    }

    @Test func ownContentIsNotSentAgain() async throws {
        try await Fixture.with { fixture in
            let (path, bytes) = try fixture.write(4500)
            let owned = await fixture.drive.add(bytes, id: "owned")
            let file = try await fixture.manager(verify: true).upload(file: path).result()
            #expect(file.id == owned.id)
            #expect(await fixture.drive.log == ["POST /api/files/upload/create"])
        }
    }

    @Test func cancelForgetsHereAndThere() async throws {
        try await Fixture.with { fixture in
            let (path, _) = try fixture.write(4500)
            await fixture.drive.hold(chunk: 2)
            let manager = fixture.manager(parallel: 1)
            let handle = await manager.upload(file: path)
            await fixture.drive.untilHeld()
            await manager.cancel(handle.id)
            await #expect(throws: DriveClientError.cancelled) { try await handle.result() }
            #expect(await fixture.drive.uploads.isEmpty)
            #expect(fixture.journals.isEmpty)
        }
    }

    @Test func whatCannotBeContinuedIsGivenBack() async throws {
        try await Fixture.with { fixture in
            let (path, _) = try fixture.write(4500)
            await fixture.drive.hold(chunk: 2)
            let manager = fixture.manager(parallel: 1)
            let handle = await manager.upload(file: path, context: UploadContext(isResumable: false))
            await fixture.drive.untilHeld()
            await manager.pause(handle.id)
            #expect(await fixture.drive.uploads.isEmpty)
            #expect(fixture.journals.isEmpty)
        }
    }

    /// There is nothing to resume: it was given back, and a person is not told to resume it.
    @Test func aPauseEndsWhatCannotBeContinued() async throws {
        try await Fixture.with { fixture in
            let (path, _) = try fixture.write(4500)
            await fixture.drive.hold(chunk: 2)
            let handle = await fixture.manager(parallel: 1).upload(file: path, context: UploadContext(isResumable: false))
            await fixture.drive.untilHeld()
            await fixture.drive.end("task1", as: .paused)
            await fixture.drive.release()
            let error = await #expect(throws: DriveClientError.self) { try await handle.result() }
            guard case .uploadEnded(taskId: "task1", let reason)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(reason.contains("paused elsewhere") && reason.contains("cancelled"))
            #expect(await fixture.drive.uploads.isEmpty)
            #expect(await fixture.drive.count("POST /api/files/upload/create") == 1)
        }
    }

    @Test func theSameFileTwiceAtOnceIsRefused() async throws {
        try await Fixture.with { fixture in
            let (path, _) = try fixture.write(4500)
            await fixture.drive.hold(chunk: 2)
            let first = await fixture.manager().upload(file: path)
            await fixture.drive.untilHeld()
            await #expect(throws: DriveClientError.busy(path: path)) { try await fixture.manager().upload(file: path).result() }
            await fixture.drive.release()
            _ = try await first.result()
        }
    }

    @Test func directoriesAndMissingFilesAreRefused() async throws {
        try await Fixture.with { fixture in
            let folder = fixture.folder
            for path in [folder, folder + "/missing"] {
                await #expect(throws: DriveClientError.self) { try await fixture.manager().upload(file: path).result() }
            }
            #expect(await fixture.drive.log.isEmpty)
        }
    }
}
