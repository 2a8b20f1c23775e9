import DriveModel
import Foundation
import Testing

/// aiotus, a client on asyncio that joins files by concatenation, unchanged.
@Suite struct AiotusTests {
    private static let chunk = 256 << 10
    private static let chunked = ["--chunk-size", "\(chunk)"]

    @Test(arguments: [0, 1, 4 * chunk, 5 * chunk + 1]) func aFileWithNameAndType(_ size: Int) async throws {
        try await PythonStage.with(.aiotus, account: "aiotus-\(size)", size: size) { stage in
            let metadata = try pythonMetadata(["filename": "Grüße, 100 % & mehr.png", "filetype": "image/png"])
            let report = try await stage.client.run(
                ["upload", stage.endpoint, stage.file] + metadata + Self.chunked, token: stage.token)
            let file = try await stage.expectFile(report)
            #expect(file.name == "Grüße, 100 % & mehr.png")
            #expect(file.contentType == "image/png")
        }
    }

    /// Before and after the bytes, what is Drive's to read and what is not.
    @Test func metadataIsReadBack() async throws {
        try await PythonStage.with(.aiotus, account: "aiotus-metadata", size: 4097) { stage in
            let pairs: [String: JSONValue] = ["filename": "a, b.txt", "filetype": "text/plain", "colour": "grün", "flag": .null]
            let created = try await stage.client.run(
                ["create", stage.endpoint, stage.file] + pythonMetadata(pairs), token: stage.token)
            #expect(try await stage.run("metadata", created.url).metadata == .object(pairs))
            let sent = try await stage.run("send", created.url, stage.file)
            #expect(sent.found == 0)
            #expect(try await stage.run("metadata", created.url).metadata == .object(pairs))
            try await stage.expectFile(sent)
        }
    }

    @Test func anUploadWithoutMetadataHasNone() async throws {
        try await PythonStage.with(.aiotus, account: "aiotus-bare", size: 10) { stage in
            let report = try await stage.run("upload", stage.endpoint, stage.file)
            #expect(try await stage.run("metadata", report.url).metadata == .object([:]))
            try await stage.expectFile(report)
        }
    }

    struct Parts: Sendable, CustomTestStringConvertible {
        var sizes: [Int]
        var testDescription: String { sizes.map(String.init).joined(separator: "+") }
    }

    /// The parts become one file, and none of their own.
    @Test(
        arguments: [
            Parts(sizes: [5 * chunk + 1]), Parts(sizes: [5 * chunk + 1, 1, 3 * chunk, 70_001, 2]), Parts(sizes: [1, 0, chunk]),
            Parts(sizes: [0, 0]),
        ]) func filesAreJoined(_ parts: Parts) async throws
    {
        let size = parts.sizes.reduce(0, +)
        try await PythonStage.with(.aiotus, account: "aiotus-joined-\(parts.testDescription)", size: size) { stage in
            var paths: [String] = []
            var rest = stage.content[...]
            for (index, size) in parts.sizes.enumerated() {
                paths.append(stage.folder + "/part-\(index)")
                try Data(rest.prefix(size)).write(to: URL(fileURLWithPath: paths[index]))
                rest = rest.dropFirst(size)
            }
            let metadata = try pythonMetadata(["filename": "joined.png", "filetype": "image/png"])
            let report = try await stage.client.run(
                ["upload-multiple", stage.endpoint] + paths + metadata + Self.chunked, token: stage.token)
            try await stage.tus.waitUntilJoined(TusUpload(location: report.url))
            let file = try await stage.expectFile(report)
            #expect(file.name == "joined.png")
            #expect(file.contentType == "image/png")
        }
    }

    @Test func killedInABodyAndResumed() async throws {
        try await PythonStage.with(.aiotus, account: "aiotus-killed", size: PythonStage.large) { stage in
            let created = try await stage.run("create", stage.endpoint, stage.file)
            try await stage.killInBody("send", created.url, stage.file, "--chunk-size", "\(PythonStage.large)")
            try await stage.expectFile(stage.runOn("send", created.url, stage.file))
        }
    }

    @Test func goesOnAfterABrokenConnection() async throws {
        try await PythonStage.with(.aiotus, account: "aiotus-broken", size: PythonStage.large) { stage in
            let report = try await stage.runThroughBreak(
                "upload", stage.endpoint, stage.file, "--chunk-size", "\(PythonStage.large)")
            try await stage.expectFile(report)
        }
    }
}
