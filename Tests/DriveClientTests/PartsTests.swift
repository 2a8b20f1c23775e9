import DriveModel
import Foundation
import Testing

@testable import DriveClient

@Suite struct PartsTests {
    @Test func backoffDoublesToItsCapAndEndsWithPatience() {
        var backoff = Backoff(RetryPolicy(base: .seconds(1), cap: .seconds(8), patience: .seconds(30)))
        var delays: [Duration?] = []
        var now = Duration.zero
        for _ in 0..<7 {
            let delay = backoff.delay(afterFailureAt: now, retryAfter: nil, jitter: 1)
            delays.append(delay)
            now += delay ?? .zero
        }
        #expect(delays == [.seconds(1), .seconds(2), .seconds(4), .seconds(8), .seconds(8), nil, nil])
        backoff.succeeded()
        #expect(backoff.delay(afterFailureAt: now, retryAfter: .seconds(5), jitter: 0.5) == .seconds(5.5))
        #expect(backoff.delay(afterFailureAt: now, retryAfter: .seconds(3600), jitter: 0) == nil)
    }

    /// Patience is told of only where some of it was spent.
    @Test func aWaitBeyondAllPatienceIsTheErrorItself() {
        let reply = ErrorReply(code: "RATE_LIMITED", message: "m", status: 429, details: [:], requestId: nil)
        let error = DriveClientError.server(reply, retryAfter: 3600)
        var backoff = Backoff(RetryPolicy(base: .seconds(1), cap: .seconds(8), patience: .seconds(30)))
        #expect(backoff.delay(afterFailureAt: .zero, retryAfter: .seconds(3600), jitter: 0) == nil)
        #expect(backoff.end(after: error, at: .zero) == error)
        #expect(backoff.end(after: error, at: .seconds(25)) == .gaveUp(seconds: 30, lastError: error.description))
    }

    @Test(arguments: [
        (408, "X", ReplyMeaning.retry(after: nil)), (425, "X", .retry(after: nil)), (429, "RATE_LIMITED", .retry(after: nil)),
        (500, "X", .retry(after: nil)), (507, "STORAGE_FULL", .retry(after: nil)), (501, "NOT_IMPLEMENTED", .fatal),
        (400, "INVALID_REQUEST", .fatal), (403, "QUOTA_EXCEEDED", .fatal), (401, "UNAUTHENTICATED", .refresh),
        (401, "TOKEN_REVOKED", .fatal), (404, "X", .fatal), (410, "TASK_EXPIRED", .ended("m")), (409, "TASK_PAUSED", .paused),
        (409, "CHUNK_ALREADY_UPLOADED", .chunkStored), (409, "CHUNK_IN_PROGRESS", .chunkBusy(after: .seconds(1))),
        (422, "CHUNK_DIGEST_MISMATCH", .resend), (429, "TOO_MANY_OPEN_UPLOADS", .fatal), (409, "CONFLICT", .fatal),
        (409, "HTTP_409", .refresh), (410, "X", .fatal), (404, "HTTP_404", .fatal), (404, "TASK_NOT_FOUND", .unknown("m")),
        (404, "FILE_NOT_FOUND", .ended("m")),
    ])
    func repliesMean(status: Int, code: String, meaning: ReplyMeaning) {
        let reply = ErrorReply(code: code, message: "m", status: status, details: [:], requestId: nil)
        #expect(ReplyMeaning(of: .server(reply, retryAfter: nil)) == meaning)
    }

    @Test(arguments: [
        ("Cancelled" as JSONValue?, ReplyMeaning.cancelled), ("Failed", .ended("m")), ("Expired", .ended("m")), ("InProgress", .refresh),
        ("Later", .refresh), (7, .refresh), (nil, .refresh),
    ])
    func aClosedUploadSaysWhy(status: JSONValue?, meaning: ReplyMeaning) {
        let reply = ErrorReply(
            code: "TASK_CLOSED", message: "m", status: 409, details: status.map { ["status": $0] } ?? [:], requestId: nil)
        #expect(ReplyMeaning(of: .server(reply, retryAfter: nil)) == meaning)
    }

    @Test func contentDigestIsBigEndianBase64() {
        // CRC-32C of "123456789", RFC 3720 B.4's check value.
        #expect(ContentDigest.value(crc32c: 0xE306_9283) == "crc32c=:4waSgw==:")
    }

    @Test(arguments: [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/api/a%2Fb", false), ("https://d.example/", "https://d.example/api/a%2Fb", false),
        ("http://d.example/drive", "http://d.example/drive/api/a%2Fb", true), ("http://[::1]:8080", "http://[::1]:8080/api/a%2Fb", false),
    ])
    func serverAddresses(text: String, url: String, exposes: Bool) throws {
        let address = try ServerAddress(text)
        #expect(address.url(["api", "a/b"]) == url)
        #expect(address.exposesTokens == exposes)
    }

    @Test(arguments: ["", "drive.example", "ftp://x", "http://", "http://user@host", "http://host/?q=1", "http://a b"])
    func wrongServerAddressesAreRefused(text: String) {
        #expect(throws: DriveClientError.self) { try ServerAddress(text) }
    }

    @Test func queriesAreEncodedAndNilsLeftOut() throws {
        let url = try ServerAddress("http://h").url(["x"], query: [("q", "a&b=ü +"), ("none", nil), ("n", "1")])
        #expect(url == "http://h/x?q=a%26b%3D%C3%BC%20%2B&n=1")
    }

    @Test func speedIsThatOfTheLastSeconds() throws {
        var meter = SpeedMeter()
        #expect(meter.bytesPerSecond(bytes: 0, at: .zero) == nil)
        for second in 0...20 { meter.record(bytes: Int64(second) * (second < 10 ? 10 : 1000), at: .seconds(second)) }
        let speed = try #require(meter.bytesPerSecond(bytes: 20_000, at: .seconds(20)))
        #expect(abs(speed - 1000) < 1)
        let progress = TransferProgress(bytes: 20_000, total: 30_000, bytesPerSecond: speed)
        #expect(abs((progress.remaining ?? .zero) / .seconds(1) - 10) < 0.1)
        #expect(TransferProgress(bytes: 0, total: 0).percent == 100)
    }

    @Test(arguments: [("a.PDF", "application/pdf"), ("x", MediaType.unknown), (".png", MediaType.unknown), ("a.b.jpeg", "image/jpeg")])
    func mediaTypes(name: String, type: String) {
        #expect(MediaType.guess(fileName: name) == type)
    }

    @Test func journalsAreThePersonsOwnAndReplacedWhole() async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/drive-journal-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = JournalStore(directory: folder + "/uploads")
        try await store.lock("a", for: "/f")
        var journal = UploadJournal(
            server: "http://h", path: "/f", file: FileIdentity(stat()), request: CreateUploadRequest(fileName: "f", fileSize: 1),
            idempotencyKey: "k")
        try await store.save(journal, as: "a")
        journal.taskId = "t"
        try await store.save(journal, as: "a")
        #expect(await store.load("a") == journal)
        let mode = try FileManager.default.attributesOfItem(atPath: folder + "/uploads/a.json")[.posixPermissions] as? Int
        #expect(mode == 0o600)
        await #expect(throws: DriveClientError.busy(path: "/f")) {
            try await JournalStore(directory: folder + "/uploads").lock("a", for: "/f")
        }
        await store.unlock("a")
        try await JournalStore(directory: folder + "/uploads").lock("a", for: "/f")
        try Data("{broken".utf8).write(to: URL(fileURLWithPath: folder + "/uploads/b.json"))
        #expect(await store.load("b") == nil)
        await store.remove(taskId: "t")
        #expect(await store.load("a") == nil)
    }

    @Test(arguments: [
        (["XDG_STATE_HOME": "/s", "HOME": "/h"], "/s/drive/uploads"), (["HOME": "/h"], "/h/.local/state/drive/uploads"),
        (["XDG_STATE_HOME": "relative", "HOME": "/h"], "/h/.local/state/drive/uploads"),
    ])
    func stateFolder(environment: [String: String], expected: String) {
        #expect(JournalStore.defaultDirectory(environment: environment) == expected)
    }
}
