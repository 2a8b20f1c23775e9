import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// A start with two ports, TLS and the redirect: both or none, and the error names the one that is at fault.
@Suite struct TLSStartTests {
    /// Which of the two ports another program has.
    enum Taken: String, CaseIterable, CustomTestStringConvertible {
        case main, redirect
        var testDescription: String { "the \(rawValue) port is taken" }
        var setting: String { self == .main ? "DRIVE_PORT" : "DRIVE_TLS_REDIRECT_PORT" }
    }

    @Test(arguments: Taken.allCases) func aTakenPortStopsTheStartBeforeAnythingIsAnnounced(_ taken: Taken) async throws {
        let data = try DataFolder.make("tls-taken")
        defer { data.remove() }
        let certificate = try await TLSCertificate.make("live", in: (data.path as NSString).deletingLastPathComponent)
        let other = try LoopbackSocket.listen()
        defer { close(other.descriptor) }
        let free = try LoopbackPort.free(1)[0]
        let (main, redirect) = taken == .main ? (other.port, free) : (free, other.port)
        let settings = certificate.settings.merging(["DRIVE_TLS_REDIRECT_PORT": "\(redirect)"]) { own, _ in own }
        let result = try await DriveCommand.run(
            ["serve", "--data", data.path, "--host", "127.0.0.1", "--port", "\(main)"], environment: settings, atMost: .seconds(20))
        #expect(result.exit == .exited(78), "configuration: \(result.exit)")
        #expect(result.output == "", "no ready line, and no token that would be lost")
        #expect(result.errors.contains("port \(other.port)") && result.errors.contains(taken.setting), "\(result.errors)")
        #expect(!result.errors.contains("\(free)") && !result.errors.contains("listening"), "\(result.errors)")
    }

    /// A port that the system chooses is known only when it is bound.
    @Test func theRedirectLeadsToThePortThatWasBound() async throws {
        try await Slots.servers.with {
            let data = try DataFolder.make("tls-any-port")
            defer { data.remove() }
            let folder = (data.path as NSString).deletingLastPathComponent
            let certificate = try await TLSCertificate.make("live", in: folder)
            let redirect = try LoopbackPort.free(1)[0]
            let ends = try #require(Spawn.makePipe())
            let output = OutputLines(descriptor: ends.reading)
            let settings = certificate.settings.merging(["DRIVE_TLS_REDIRECT_PORT": "\(redirect)"]) { own, _ in own }
            let server: ChildProcess
            do {
                defer { close(ends.writing) }
                server = try ChildProcess(
                    [DriveCommand.executable, "serve", "--data", data.path, "--host", "127.0.0.1", "--port", "0"],
                    environment: DriveCommand.environment(settings), output: ends.writing, errorPath: folder + "/server.log")
            }
            defer { server.killGroup() }
            let mark = "drive: listening on "
            try await eventually(within: .seconds(20), "the ready line") {
                output.lines.contains { $0.hasPrefix(mark) } || server.ended != nil
            }
            let line = try #require(output.lines.first { $0.hasPrefix(mark) }, "\(DriveCommand.text(folder + "/server.log"))")
            let address = String(line.dropFirst(mark.count))
            let port = try #require(Int(address.split(separator: ":").last ?? ""))
            #expect(port > 0)
            // What the ready line says holds at once, for both ports.
            let reply = try await TestClient(base: "http://127.0.0.1:\(redirect)").get("/files/me")
            #expect(reply.header("Location") == address + "/api/files/me")
            let connection = try TLSConnection(port: port, trusting: certificate.certificatePath)
            #expect(try await connection.send(.GET, "/health/live").status == 200)
            server.send(SIGTERM)
            #expect(try await server.wait(atMost: .seconds(30)) == .exited(0))
        }
    }
}
