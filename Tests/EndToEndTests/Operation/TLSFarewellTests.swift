import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// How a TLS connection ends: with close_notify (RFC 8446 §6.1), so that a client can tell an end from a cut, except where that
/// would make half an answer look whole.
@Suite struct TLSFarewellTests {
    @Test func anIdleConnectionIsToldOfItsEnd() async throws {
        try await withTLSServer("tls-idle", environment: ["DRIVE_IDLE_TIMEOUT": "1s"]) { server, certificate in
            let client = try LastingClient("GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n", to: server, trusting: certificate)
            #expect(try await client.end() == .farewell)
            #expect(client.received.hasPrefix("HTTP/1.1 200"))
        }
    }

    @Test func aStopIsTold() async throws {
        try await withTLSServer("tls-stop") { server, certificate in
            let client = try LastingClient("GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n", to: server, trusting: certificate)
            try await eventually(within: .seconds(20), "the answer") { client.received.contains("live") }
            // The connection is idle, so it does not hold the stop up.
            #expect(try await server.terminate() == .exited(0))
            #expect(try await client.end() == .farewell)
        }
    }

    struct Cut: Sendable, CustomTestStringConvertible {
        var version: String
        var end: LastingClient.End
        var testDescription: String { "HTTP/\(version) ends with \(end)" }
    }

    /// An answer that the server cannot finish. HTTP/1.0 may know the end of an answer by the end of the connection alone.
    @Test(arguments: [Cut(version: "1.1", end: .farewell), Cut(version: "1.0", end: .cut)])
    func anAnswerThatIsCutShortNeverLooksWhole(_ cut: Cut) async throws {
        try await withTLSServer("tls-cut") { server, certificate in
            let token = try await server.data.token(account: "a")
            let content = bytes(100_000)
            let connection = try TLSConnection(port: server.port, trusting: certificate.certificatePath)
            let file: CloudFile = try await connection.send(
                .POST, "/api/files/upload/direct?fileName=a", token: token, headers: [("Content-Type", "application/octet-stream")],
                body: content
            ).decode()
            try Self.flipLastByte(of: server.data)
            let client = try LastingClient(
                "GET /api/files/\(file.id) HTTP/\(cut.version)\r\nHost: a\r\nAuthorization: Bearer \(token)\r\n\r\n", to: server,
                trusting: certificate)
            #expect(try await client.end() == cut.end)
            #expect(client.received.lowercased().contains("content-length: \(content.count)\r\n"), "\(client.received.prefix(400))")
            #expect(client.bytes.count < content.count)
            // As it was, for the invariants at the end.
            try Self.flipLastByte(of: server.data)
        }
    }

    private static func flipLastByte(of data: DataFolder) throws {
        let path = try #require(data.blobFiles.first)
        let handle = try #require(FileHandle(forUpdatingAtPath: data.path + "/" + path))
        defer { try? handle.close() }
        let end = try handle.seekToEnd()
        try handle.seek(toOffset: end - 1)
        let byte = try #require(try handle.read(upToCount: 1)?.first)
        try handle.seek(toOffset: end - 1)
        try handle.write(contentsOf: [~byte])
        try handle.synchronize()
    }
}

/// A TLS client that sends one request, and stays until the server ends the connection.
final class LastingClient: Sendable {
    enum End: String, Sendable {
        /// By close_notify.
        case farewell
        /// By the end of TCP alone.
        case cut
    }

    private let process: ChildProcess
    private let outputPath: String
    private let errorPath: String

    /// - Parameter request: its bytes, without `%` and `\`.
    init(_ request: String, to server: TLSServer, trusting certificate: TLSCertificate) throws {
        let name = "\(certificate.certificatePath).\(UUID().uuidString.prefix(6))"
        (outputPath, errorPath) = (name + ".out", name + ".err")
        let output = open(outputPath, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw CommandFailed(description: "no file for the output") }
        defer { close(output) }
        // `-quiet` keeps the connection when the request's pipe ends.
        process = try ChildProcess(
            [
                "sh", "-c", #"printf '%s' "$1" | openssl s_client -quiet -connect "$2" -CAfile "$3" -verify_return_error"#, "sh", request,
                "127.0.0.1:\(server.port)", certificate.certificatePath,
            ], environment: DriveCommand.environment([:]), output: output, errorPath: errorPath)
    }

    deinit { process.killGroup() }

    /// What came so far.
    var bytes: Data { FileManager.default.contents(atPath: outputPath) ?? Data() }
    var received: String { String(decoding: bytes, as: UTF8.self) }

    /// Waits for the end. Throws `CommandFailed` for one that is neither.
    func end() async throws -> End {
        let exit = try await process.wait(atMost: .seconds(20))
        if exit == .exited(0) { return .farewell }
        let errors = DriveCommand.text(errorPath)
        guard errors.contains("unexpected eof") else { throw CommandFailed(description: "openssl: \(exit)\n\(errors)") }
        return .cut
    }
}
