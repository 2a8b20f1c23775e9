import Foundation
import TestSupport
import Testing

/// A running `drive serve` that speaks TLS, whose ready line names an https address.
final class TLSServer: Sendable {
    let data: DataFolder
    let port: Int
    /// Plain HTTP, with a redirect.
    let redirectPort: Int
    private let child: ChildProcess
    private let errorPath: String

    /// Everything on stderr so far.
    var log: String { DriveCommand.text(errorPath) }

    private init(data: DataFolder, port: Int, redirectPort: Int, child: ChildProcess, errorPath: String) {
        self.data = data
        self.port = port
        self.redirectPort = redirectPort
        self.child = child
        self.errorPath = errorPath
    }

    static func start(_ data: DataFolder, certificate: TLSCertificate, environment: [String: String] = [:]) async throws -> TLSServer {
        // A redirect has to name the port, so both are chosen here.
        let ports = try LoopbackPort.free(2)
        let errorPath = (data.path as NSString).deletingLastPathComponent + "/server-\(UUID().uuidString.prefix(6)).log"
        guard let ends = Spawn.makePipe() else { throw CommandFailed(description: "no pipe") }
        let output = OutputLines(descriptor: ends.reading)
        let settings = certificate.settings.merging(environment) { _, new in new }.merging(
            ["DRIVE_TLS_REDIRECT_PORT": "\(ports[1])"]
        ) { own, _ in own }
        let child: ChildProcess
        do {
            defer { close(ends.writing) }
            child = try ChildProcess(
                [DriveCommand.executable, "serve", "--data", data.path, "--host", "127.0.0.1", "--port", "\(ports[0])"],
                environment: DriveCommand.environment(settings), output: ends.writing, errorPath: errorPath)
        }
        do {
            try await eventually(within: .seconds(20), "the ready line of the server") {
                if let exit = child.ended { throw ServerProcess.DiedAtStart(exit: exit, errors: DriveCommand.text(errorPath)) }
                return output.lines.contains("drive: listening on https://127.0.0.1:\(ports[0])")
            }
        } catch {
            child.killGroup()
            throw error
        }
        return TLSServer(data: data, port: ports[0], redirectPort: ports[1], child: child, errorPath: errorPath)
    }

    func kill() { child.killGroup() }

    /// Asks it to stop and waits for the end.
    func terminate() async throws -> ExitReason {
        child.send(SIGTERM)
        return try await child.wait(atMost: .seconds(30))
    }
}

/// Starts a server with a certificate of its own, runs the body, stops the server, and expects the invariants to hold.
func withTLSServer(
    _ name: String, environment: [String: String] = [:], sourceLocation: SourceLocation = #_sourceLocation,
    _ body: @escaping @Sendable (TLSServer, TLSCertificate) async throws -> Void
) async throws {
    try await Slots.servers.with {
        let data = try DataFolder.make(name)
        defer { data.remove() }
        let certificate = try await TLSCertificate.make("live", in: (data.path as NSString).deletingLastPathComponent)
        let server = try await TLSServer.start(data, certificate: certificate, environment: environment)
        defer { server.kill() }
        do {
            try await body(server, certificate)
        } catch {
            Issue.record("\(error)\nthe server's log ends with:\n\(server.log.suffix(4000))", sourceLocation: sourceLocation)
            throw error
        }
        let exit = try await server.terminate()
        #expect(exit == .exited(0), "graceful stop; the log ends with:\n\(server.log.suffix(2000))", sourceLocation: sourceLocation)
        try await data.expectClean(sourceLocation: sourceLocation)
    }
}
