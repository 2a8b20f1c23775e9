import Foundation
import Testing

@testable import DriveServer

/// The cases of autobahntestsuite against Drive's own handshake, frames, messages and compression, over a real socket.
///
/// Two are green as NON-STRICT: 6.4.3 and 6.4.4 send one frame in pieces and hope that wrong UTF-8 is noticed before its end.
/// NIO's decoder hands over whole frames; between the frames of a message it is noticed at once (6.4.1, 6.4.2).
@Suite(.serialized, .enabled(if: AutobahnSuite.folder != nil, "DRIVE_TEST_AUTOBAHN is not set; scripts/test sets it"))
struct AutobahnTests {
    @Test func everyCaseIsGreen() async throws {
        let folder = try #require(AutobahnSuite.folder)
        try await withServer(upgrade: .echo()) { _ in
        } test: { server in
            let outcome = try await AutobahnSuite.run(AutobahnSuite.specFile, port: server.port, in: folder, atMost: AutobahnSuite.limit)
            #expect(outcome.status == 0, "\(outcome)")
        }
    }

    /// The suite is the judge here: it must be able to say no.
    @Test func aWrongEchoIsNotGreen() async throws {
        let folder = try #require(AutobahnSuite.folder)
        let spec = FileManager.default.temporaryDirectory.appending(path: "drive-autobahn-\(UUID().uuidString).json")
        try Data(#"{"cases": ["1.1.2", "1.2.2"]}"#.utf8).write(to: spec)
        defer { try? FileManager.default.removeItem(at: spec) }
        try await withServer(upgrade: .echo(prefix: "wrong")) { _ in
        } test: { server in
            let outcome = try await AutobahnSuite.run(spec, port: server.port, in: folder, atMost: .seconds(60))
            #expect(outcome.status == 1, "\(outcome)")
            #expect(outcome.output.contains("to be mended: 1.1.2\n"))
        }
    }
}
