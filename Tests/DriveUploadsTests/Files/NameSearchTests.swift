import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import DriveUploads
import EngineTestSupport
import Foundation
import Testing

/// Names are found and sorted the same on both databases.
@Suite struct NameSearchTests {
    private static func store(_ name: String, on drive: Instance, by owner: Caller) async throws -> CloudFile {
        try await drive.uploads.uploadDirectly(
            DirectUploadRequest(fileName: name), body: ScriptedBody(Array(name.utf8)), length: Int64(name.utf8.count), idempotencyKey: nil,
            by: owner)
    }

    private static func found(_ search: String?, on drive: Instance, by owner: Caller) async throws -> [String] {
        var query = FileService.ListQuery()
        query.search = search
        query.sort = .name
        query.descending = false
        let page = try await drive.files.list(query, account: owner.accountId)
        #expect(page.total == page.items.count)
        return page.items.map(\.name)
    }

    private static let names = [
        "Straße.txt", "zebra.TXT", "Äpfel.txt", "Привет мир", "ΣΟΦΟΣ", "100%_sicher\u{301}", "apple", "Zoo", "日本.pdf", "Ａbc",
    ]

    @Test(
        arguments: Engine.underTest,
        [
            ("STRASSE", ["Straße.txt"]), (".txt", ["Straße.txt", "zebra.TXT", "Äpfel.txt"]), ("äPFEL", ["Äpfel.txt"]),
            ("a\u{308}pfel", ["Äpfel.txt"]), ("ПРИВЕТ", ["Привет мир"]), ("мИр", ["Привет мир"]), ("σοφος", ["ΣΟΦΟΣ"]),
            ("ς", ["ΣΟΦΟΣ"]), ("100%", ["100%_sicher\u{301}"]), ("%", ["100%_sicher\u{301}"]), ("_", ["100%_sicher\u{301}"]), ("0_", []),
            ("\\", []), ("z%a", []), ("本", ["日本.pdf"]), ("ABC", ["Ａbc"]), ("apfel", []), ("zo", ["Zoo"]),
        ])
    func findsInAnyCase(engine: Engine, item: (search: String, names: [String])) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            for name in Self.names { _ = try await Self.store(name, on: drive, by: owner) }
            #expect(try await Self.found(item.search, on: drive, by: owner).map(Self.bytes) == item.names.map(Self.normal).map(Self.bytes))
        }
    }

    /// Names are kept in form C; texts are compared by their bytes, as `==` is true for other forms too.
    private static func normal(_ name: String) -> String { name.precomposedStringWithCanonicalMapping }
    private static func bytes(_ name: String) -> [UInt8] { Array(name.utf8) }

    @Test(arguments: Engine.underTest)
    func sortsWithoutCaseAndFindsAfterARename(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            for name in ["b", "B2", "a", "C", "_", "Ä"] { _ = try await Self.store(name, on: drive, by: owner) }
            #expect(try await Self.found(nil, on: drive, by: owner) == ["_", "a", "b", "B2", "C", "Ä"])
            let file = try await Self.store("old", on: drive, by: owner)
            _ = try await drive.files.update(file.id, change: FileService.Change(name: "NEUE Straße"), by: owner)
            #expect(try await Self.found("neue strasse", on: drive, by: owner) == ["NEUE Straße"])
            #expect(try await Self.found("old", on: drive, by: owner) == [])
            // Other changes leave it.
            _ = try await drive.files.update(file.id, change: FileService.Change(userMeta: ["k": 1]), by: owner)
            #expect(try await Self.found("NEUE", on: drive, by: owner) == ["NEUE Straße"])
        }
    }

    /// An upload in chunks writes the name another way, and the list of uploads is sorted by it too.
    @Test(arguments: Engine.underTest)
    func uploadsAreSortedWithoutCaseAndTheirFilesFound(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            var last: CreatedUpload?
            for name in ["b", "A", "c", "ÄRGER"] {
                last = try await drive.uploads.create(CreateUploadRequest(fileName: name, fileSize: 0), idempotencyKey: nil, by: owner)
            }
            var query = UploadListQuery()
            query.sort = .fileName
            query.descending = false
            #expect(try await drive.uploads.list(query, account: owner.accountId).items.map(\.fileName) == ["A", "b", "c", "ÄRGER"])
            _ = try await drive.uploads.complete(try #require(last?.taskId), by: owner)
            #expect(try await Self.found("ärger", on: drive, by: owner) == ["ÄRGER"])
        }
    }

    /// Whatever is asked for, it is an answer or a refusal with its rule.
    @Test(arguments: Engine.underTest)
    func longQuestionsAreAnsweredOrRefused(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start()
            let owner = Caller.someone()
            // Each folds to eleven times its bytes.
            #expect(try await Self.found(String(repeating: "\u{FDFA}", count: 1360), on: drive, by: owner) == [])
            #expect(try await Self.found(String(repeating: "%", count: 4080), on: drive, by: owner) == [])
            await expectRefusal(.invalidRequest) { try await Self.found(String(repeating: "a", count: 4081), on: drive, by: owner) }
        }
    }
}
