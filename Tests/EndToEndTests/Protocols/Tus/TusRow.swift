import DriveModel
import Foundation
import Testing

/// One sentence of the protocol and how it is seen from outside.
///
/// Sentences that bind the client alone are there too: the server must bear what they let the client do.
struct TusRow: Sendable, CustomTestStringConvertible {
    let id: String
    /// The heading in the protocol's text.
    let section: String
    /// Nearly verbatim.
    let sentence: String
    let check: @Sendable (TusClient) async throws -> Void

    init(_ id: String, _ section: String, _ sentence: String, _ check: @escaping @Sendable (TusClient) async throws -> Void) {
        self.id = id
        self.section = section
        self.sentence = sentence
        self.check = check
    }

    var testDescription: String { "\(id) [\(section)] \(sentence)" }

    static let all =
        core + patch + discovery + creation + creationLengths + creationWithUpload + expiration + checksum + termination
        + concatenation + finals
}

/// Servers of their own for the rows that need other settings.
enum TusStage {
    /// The largest upload of ``limited()``.
    static let limit = 1 << 20

    private static let small = Task {
        try await ServerProcess.start(
            DataFolder.make("tus-limited"),
            environment: ["UPLOAD_MAX_FILE_SIZE": "1MiB", "DRIVE_BODY_STALL_TIMEOUT": "1s", "DRIVE_RATE_FAILED_SIGNINS": "0"])
    }
    private static let smallClient = Task { try await TusClient.of(small.value) }

    /// A client of a server with small files and a short patience.
    static func limited() async throws -> TusClient { try await smallClient.value }

    private static let ended = Task {
        let server = try await ServerProcess.start(
            DataFolder.make("tus-expiry"), environment: ["UPLOAD_DEFAULT_EXPIRY": "1m", "UPLOAD_CLEANUP_INTERVAL_MINUTES": "1s"])
        let client = try await TusClient.of(server)
        let finished = try await client.begin(5, [TusClient.octets], body: Array("hello".utf8))
        let unfinished = try await client.begin(5)
        try await client.add("he", to: unfinished, at: 0)
        // Drive's own list tells without touching the upload, whose time any request of the protocol may prolong.
        try await eventually(within: .seconds(100), "the upload to expire", every: .seconds(1)) {
            let reply = try await client.drive.get("/files/upload/tasks/\(unfinished.id)/details")
            return reply.status != 200 || reply.text.contains("\"Expired\"")
        }
        return (client: client, finished: finished, unfinished: unfinished)
    }

    /// A client, an upload that was finished in time, and one whose time ran out. It takes the shortest expiry there is: a minute.
    static func expired() async throws -> (client: TusClient, finished: TusUpload, unfinished: TusUpload) {
        try await ended.value
    }
}

/// tus 1.0.0, sentence by sentence, over real sockets.
@Suite struct TusProtocolTests {
    @Test(arguments: TusRow.all) func theSentenceHolds(_ row: TusRow) async throws {
        try await row.check(TusClient.shared())
    }

    @Test func everySentenceHasItsRow() {
        func ids(_ prefix: String, _ count: Int) -> [String] {
            (1...count).map { prefix + ($0 < 10 ? "0" : "") + "\($0)" }
        }
        let expected =
            ids("C", 46) + ids("CR", 27) + ids("CU", 10) + ids("EX", 11) + ids("CK", 16) + ids("TE", 4) + ids("CO", 26)
        let found = TusRow.all.map(\.id)
        #expect(found.count == 140)
        #expect(Set(found).count == found.count, "an id stands twice")
        #expect(Set(found) == Set(expected), "\(Set(found).symmetricDifference(expected).sorted())")
    }
}
