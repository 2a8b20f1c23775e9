import DriveModel
import Foundation
import Testing

/// The draft by curl, which knows nothing of it but shows every interim response and sends any field.
@Suite struct ResumableCurlTests {
    private static let version = "Upload-Draft-Interop-Version: 8"

    private struct Stage: Sendable {
        let folder: String
        let client: TestClient
        let content: [UInt8]

        var file: String { folder + "/content.bin" }
        var target: String { client.base + ResumableScene.target }

        /// Neither the user's settings nor the token on the command line.
        func options(_ fields: [String]) -> [String] {
            ["-q", "-sS", "--noproxy", "*", "-H", "@\(folder)/fields"] + fields.flatMap { ["-H", $0] }
        }

        /// Runs curl to the end; the output is heads and body.
        func curl(_ options: [String], _ fields: [String], sourceLocation: SourceLocation = #_sourceLocation) async throws -> String {
            let result = try await DriveCommand.run(self.options(fields) + options, program: "curl", atMost: .seconds(60))
            try #require(result.exit == .exited(0), "\(result.exit): \(result.errors)", sourceLocation: sourceLocation)
            return result.output
        }

        /// Downloads a file and expects the content.
        func expectDownload(_ file: CloudFile) async throws {
            let copy = folder + "/copy"
            _ = try await curl(["-o", copy, "\(client.base)/api/files/\(file.id)"], [])
            let downloaded = try Data(contentsOf: URL(fileURLWithPath: copy))
            #expect(sha256(Array(downloaded)) == sha256(content))
            #expect(file.hash == sha256(content))
        }
    }

    /// A folder with the content and the sign-in, for an account of its own.
    private func withStage(_ name: String, size: Int, _ body: (Stage) async throws -> Void) async throws {
        let client = try await SharedServer.client(name)
        let folder = try TemporaryFolder.make(name)
        defer { TemporaryFolder.remove(folder) }
        let stage = Stage(folder: folder, client: client, content: bytes(size, seed: UInt64(size)))
        try Data(stage.content).write(to: URL(fileURLWithPath: stage.file))
        let fields = "Authorization: Bearer \(try #require(client.token))\n\(Self.version)\n"
        try Data(fields.utf8).write(to: URL(fileURLWithPath: folder + "/fields"))
        try await body(stage)
    }

    @Test(arguments: ["PUT", "POST"]) func aWholeFileAndIts104(_ method: String) async throws {
        try await withStage("resumable-curl-\(method)", size: 3 << 20) { stage in
            let fields = ["Upload-Complete: ?1", "Content-Disposition: inline; filename=\"curl.bin\"", "Content-Type: image/png"]
            let output = try await stage.curl(["-i", "-X", method, "-T", stage.file, stage.target], fields)
            let heads = Self.heads(in: output)
            let interim = try #require(heads.first { $0.contains(" 104") }, "\(output)")
            #expect(Self.field("Location", in: interim)?.hasPrefix(stage.target + "/") == true, "\(interim)")
            #expect(Self.field("Upload-Draft-Interop-Version", in: interim) == "8", "\(interim)")
            let final = try #require(heads.last, "\(output)")
            #expect(final.hasPrefix("HTTP/1.1 201"), "\(output)")
            #expect(Self.field("Upload-Complete", in: final) == "?1", "\(output)")
            let file = try Self.file(in: output)
            #expect([file.name, file.contentType] == ["curl.bin", "image/png"])
            try await stage.expectDownload(file)
        }
    }

    @Test func killedInTheMiddleAndResumed() async throws {
        try await withStage("resumable-curl-killed", size: 8 << 20) { stage in
            let upload = try await uploadUntilKilled(stage)

            let asked = try await stage.curl(["-I", upload], [])
            let head = try #require(Self.heads(in: asked).last, "\(asked)")
            #expect(head.hasPrefix("HTTP/1.1 204"), "\(asked)")
            #expect(Self.field("Upload-Complete", in: head) == "?0", "\(asked)")
            #expect(Self.field("Upload-Length", in: head) == "\(stage.content.count)", "\(asked)")
            let offset = try #require(Self.field("Upload-Offset", in: head).flatMap { Int($0) }, "\(asked)")
            #expect(offset > 0 && offset < stage.content.count)

            let rest = stage.folder + "/rest.bin"
            try Data(stage.content[offset...]).write(to: URL(fileURLWithPath: rest))
            let output = try await stage.curl(
                ["-i", "-X", "PATCH", "-T", rest, upload],
                ["Upload-Offset: \(offset)", "Upload-Complete: ?1", "Content-Type: application/partial-upload"])
            let final = try #require(Self.heads(in: output).last, "\(output)")
            #expect(final.hasPrefix("HTTP/1.1 201"), "\(output)")
            #expect(Self.field("Upload-Complete", in: final) == "?1", "\(output)")
            let file = try Self.file(in: output)
            #expect(file.name == "killed.bin")
            try await stage.expectDownload(file)
        }
    }

    /// Starts a slow upload, kills it once some pieces are sent, and returns the address in its 104.
    private func uploadUntilKilled(_ stage: Stage) async throws -> String {
        let trace = stage.folder + "/trace"
        let options = ["--limit-rate", "1M", "--trace-ascii", "%", "-T", stage.file, stage.target]
        let fields = ["Upload-Complete: ?1", "Content-Disposition: inline; filename=\"killed.bin\""]
        let output = open("/dev/null", O_WRONLY | O_CLOEXEC)
        try #require(output >= 0)
        let child: ChildProcess
        do {
            defer { close(output) }
            // curl's stderr is not buffered: the trace is there as it happens.
            child = try ChildProcess(
                ["curl"] + stage.options(fields) + options, environment: DriveCommand.environment([:]), output: output, errorPath: trace)
        }
        defer { child.killGroup() }
        try await eventually(within: .seconds(30), "eight pieces of the body") {
            try #require(child.ended == nil, "\(DriveCommand.text(trace).prefix(4000))")
            return DriveCommand.text(trace).components(separatedBy: "=> Send data").count > 8
        }
        child.send(SIGKILL)
        #expect(try await child.wait(atMost: .seconds(10)) == .signalled(SIGKILL))
        let text = DriveCommand.text(trace)
        #expect(text.contains("HTTP/1.1 104"), "\(text.prefix(4000))")
        let location = try #require(Self.location(inTrace: text), "\(text.prefix(4000))")
        #expect(location.hasPrefix(stage.target + "/"))
        return location
    }

    /// The first `Location` in a trace, whose lines are broken after 64 characters.
    private static func location(inTrace text: String) -> String? {
        let start = "0000: location: "
        let lines = text.split(separator: "\n").drop { !$0.lowercased().hasPrefix(start) }
        guard let first = lines.first else { return nil }
        let rest = lines.dropFirst().prefix { $0.hasPrefix("0040: ") || $0.hasPrefix("0080: ") }
        return rest.reduce(String(first.dropFirst(start.count))) { $0 + $1.dropFirst(6) }.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The heads of all responses in curl's output.
    private static func heads(in output: String) -> [String] {
        output.components(separatedBy: "\r\n\r\n").filter { $0.hasPrefix("HTTP/") }
    }

    private static func field(_ name: String, in head: String) -> String? {
        head.components(separatedBy: "\r\n").first { $0.lowercased().hasPrefix(name.lowercased() + ":") }?
            .dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces)
    }

    /// The file in the body of the last response.
    private static func file(in output: String) throws -> CloudFile {
        let body = try #require(output.components(separatedBy: "\r\n\r\n").last)
        return try JSONDecoder().decode(CloudFile.self, from: Data(body.utf8))
    }
}
