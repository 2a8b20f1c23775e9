import DriveModel
import Foundation
import Testing

@testable import DriveClient

@Suite struct DownloaderTests {
    private static func fetch(_ file: CloudFile, _ fixture: Fixture, replacing: Bool = false) async throws -> [UInt8] {
        let path = fixture.folder + "/out.bin"
        try await Downloader(client: fixture.client).download(file, to: .file(path: path, replacing: replacing))
        #expect(!FileManager.default.fileExists(atPath: path + ".part"))
        return Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    @Test(arguments: [0, 1, 70_000]) func fetchesAndVerifies(size: Int) async throws {
        try await Fixture.with { fixture in
            let bytes = pattern(size)
            let fetched = try await Self.fetch(await fixture.drive.add(bytes, id: "f"), fixture)
            #expect(fetched == bytes)
        }
    }

    @Test func goesOnWhereTheConnectionBroke() async throws {
        try await Fixture.with { fixture in
            let bytes = pattern(70_000)
            let file = await fixture.drive.add(bytes, id: "f")
            await fixture.drive.instead(of: "GET /api/files/f", .drop)
            await fixture.drive.instead(of: "GET /api/files/f", .cut(headers: [], body: bytes, after: 30_000))
            await fixture.drive.instead(of: "GET /api/files/f", errorAnswer(503, "SHUTTING_DOWN"))
            let fetched = try await Self.fetch(file, fixture)
            #expect(fetched == bytes)
            #expect(await fixture.drive.count("GET /api/files/f") == 4)
            let ranges = await fixture.drive.ranges
            #expect(ranges.count == 1 && (1...30_000).contains(ranges[0]))
        }
    }

    /// What another process left: a beginning, something else, too much.
    @Test(arguments: [0, 1, 2]) func usesAPartOnlyWhereItFits(kind: Int) async throws {
        try await Fixture.with { fixture in
            let bytes = pattern(50_000)
            let file = await fixture.drive.add(bytes, id: "f")
            let part = kind == 0 ? Array(bytes.prefix(20_000)) : pattern(kind == 1 ? 20_000 : 60_000, seed: 9)
            try Data(part).write(to: URL(fileURLWithPath: fixture.folder + "/out.bin.part"))
            let fetched = try await Self.fetch(file, fixture)
            #expect(fetched == bytes)
        }
    }

    @Test func wrongContentGetsNoName() async throws {
        try await Fixture.with { fixture in
            let file = await fixture.drive.add(pattern(5000), id: "f", hash: String(repeating: "0", count: 64))
            let path = fixture.folder + "/out.bin"
            let error = await #expect(throws: DriveClientError.self) {
                try await Downloader(client: fixture.client).download(file, to: .file(path: path, replacing: false))
            }
            guard case .contentMismatch? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: fixture.folder)
            #expect(left.isEmpty)
        }
    }

    @Test func replacesOnlyWhereAsked() async throws {
        try await Fixture.with { fixture in
            let (path, before) = try fixture.write(10, name: "out.bin")
            let bytes = pattern(5000, seed: 4)
            let file = await fixture.drive.add(bytes, id: "f")
            await #expect(throws: DriveClientError.fileExists(path: path)) { _ = try await Self.fetch(file, fixture) }
            let kept = try Data(contentsOf: URL(fileURLWithPath: path))
            #expect(Array(kept) == before)
            let fetched = try await Self.fetch(file, fixture, replacing: true)
            #expect(fetched == bytes)
        }
    }

    @Test(arguments: [
        ("a.txt", "a.txt"), ("../../etc/passwd", "passwd"), ("..", "download"), (".bashrc", "bashrc"), ("a\\b", "b"), ("", "download"),
    ])
    func localNamesAreNoPaths(name: String, expected: String) {
        #expect(Downloader.localName(for: name) == expected)
    }
}
