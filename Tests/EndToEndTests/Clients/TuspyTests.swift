import DriveModel
import Foundation
import Testing

/// tuspy, the tus project's own client for Python, unchanged.
@Suite struct TuspyTests {
    struct Upload: Sendable, CustomTestStringConvertible {
        var name: String
        var size: Int
        var prefix = "/api"
        var options: [String] = []
        var testDescription: String { name }
    }

    private static let chunk = 256 << 10
    private static let chunked = ["--chunk-size", "\(chunk)"]

    static let uploads: [Upload] = [
        Upload(name: "one-patch", size: 3 << 20 | 1),
        Upload(name: "one-patch-drive", size: 70_001, prefix: "/drive"),
        Upload(name: "chunks", size: 5 * chunk + 1, options: chunked),
        Upload(name: "whole-chunks", size: 4 * chunk, options: chunked),
        Upload(name: "one-byte", size: 1),
        Upload(name: "empty", size: 0),
        Upload(name: "checksum", size: 3 << 20 | 1, options: ["--checksum"]),
        Upload(name: "checksum-chunks", size: 5 * chunk + 1, options: chunked + ["--checksum"]),
        Upload(name: "deferred", size: 5 * chunk + 1, options: chunked + ["--defer-length"]),
        // The length comes with a PATCH of no bytes.
        Upload(name: "deferred-whole-chunks", size: 4 * chunk, options: chunked + ["--defer-length"]),
        Upload(name: "deferred-checksum", size: 4 * chunk, options: chunked + ["--defer-length", "--checksum"]),
        Upload(name: "deferred-empty", size: 0, options: chunked + ["--defer-length"]),
        Upload(name: "asynchronous", size: 5 * chunk + 1, options: chunked + ["--asynchronous", "--checksum"]),
        Upload(name: "asynchronous-empty", size: 0, options: ["--asynchronous"]),
    ]

    @Test(arguments: uploads) func aFileWithNameAndType(_ upload: Upload) async throws {
        try await PythonStage.with(.tuspy, account: "tuspy-\(upload.name)", size: upload.size, prefix: upload.prefix) { stage in
            let metadata = try pythonMetadata(["filename": "Grüße, 100 % & mehr.png", "filetype": "image/png"])
            let report = try await stage.client.run([stage.endpoint, stage.file] + metadata + upload.options, token: stage.token)
            let file = try await stage.expectFile(report)
            #expect(file.name == "Grüße, 100 % & mehr.png")
            #expect(file.contentType == "image/png")
        }
    }

    /// Without metadata tuspy sends an empty `upload-metadata`.
    @Test func aFileWithoutMetadata() async throws {
        try await PythonStage.with(.tuspy, account: "tuspy-bare", size: 1000) { stage in
            let file = try await stage.expectFile(stage.run(stage.endpoint, stage.file))
            #expect(!file.name.isEmpty)
        }
    }

    @Test(arguments: [[], ["--checksum"], ["--asynchronous"]]) func leftAndResumedByItsAddress(_ options: [String]) async throws {
        let account = "tuspy-left\(options.joined())"
        try await PythonStage.with(.tuspy, account: account, size: 8 * Self.chunk + 77) { stage in
            let command = [stage.endpoint, stage.file] + Self.chunked + options
            let left = try await stage.client.run(command + ["--stop-at", "\(3 * Self.chunk)"], token: stage.token)
            #expect(left.found == nil)
            try await stage.tus.expectOffset(3 * Self.chunk, of: TusUpload(location: left.url))
            try await stage.expectFiles(0)

            let before = stage.proxy.passed(.up)
            let resumed = try await stage.client.run(command + ["--url", left.url], token: stage.token)
            #expect(resumed.url == left.url)
            #expect(resumed.found == 3 * Self.chunk)
            #expect(stage.proxy.passed(.up) - before <= 5 * Self.chunk + 77 + PythonStage.heads)
            try await stage.expectFile(resumed)
        }
    }

    /// tuspy finds the upload again by the file's fingerprint in a storage of its own.
    @Test func killedInABodyAndResumedFromItsStorage() async throws {
        try await PythonStage.with(.tuspy, account: "tuspy-killed", size: PythonStage.large) { stage in
            let store = stage.folder + "/uploads.json"
            try await stage.killInBody(stage.endpoint, stage.file, "--store", store)
            try await stage.expectFile(stage.runOn(stage.endpoint, stage.file, "--store", store))
        }
    }

    /// It asks for the offset at once, while the server may not know yet that the old connection is gone.
    @Test func goesOnAfterABrokenConnection() async throws {
        try await PythonStage.with(.tuspy, account: "tuspy-broken", size: PythonStage.large) { stage in
            try await stage.expectFile(stage.runThroughBreak(stage.endpoint, stage.file, "--retries", "1"))
        }
    }
}
