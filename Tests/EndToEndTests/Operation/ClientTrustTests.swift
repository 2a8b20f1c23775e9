import DriveModel
import Foundation
import TestSupport
import Testing

/// `drive` and a server whose certificate comes from an authority that the system does not know.
@Suite struct ClientTrustTests {
    /// By the option, and by the variable.
    @Test(arguments: ["--ca-file", "DRIVE_CA_FILE"]) func aFileGoesUpAndComesDownOverAPrivateAuthority(_ way: String) async throws {
        try await Self.withPrivateAuthority("trust") { server, authority in
            let folder = (server.data.path as NSString).deletingLastPathComponent
            var settings = [
                "DRIVE_SERVER": "https://127.0.0.1:\(server.port)", "DRIVE_TOKEN": try await server.data.token(account: "a"),
                "HOME": folder, "XDG_STATE_HOME": folder + "/state",
            ]
            var options: [String] = []
            if way == "--ca-file" { options = [way, authority] } else { settings[way] = authority }
            let content = bytes(3 << 20 | 4711)
            try Data(content).write(to: URL(fileURLWithPath: folder + "/file.bin"))
            let uploaded = try await DriveCommand.succeed(
                ["upload", "--json", "--chunk-size", "1MiB", folder + "/file.bin"] + options, environment: settings)
            let file = try JSONDecoder().decode(CloudFile.self, from: Data(uploaded.output.utf8))
            #expect(file.hash == sha256(content))
            try await DriveCommand.succeed(["download", file.id, "-o", folder + "/back.bin"] + options, environment: settings)
            #expect(FileManager.default.contents(atPath: folder + "/back.bin") == Data(content))
        }
    }

    @Test func withoutItNothingIsSaidToTheServer() async throws {
        try await Self.withPrivateAuthority("no-trust") { server, _ in
            let folder = (server.data.path as NSString).deletingLastPathComponent
            let other = try await TLSCertificate.make("other", in: folder)
            let settings = [
                "DRIVE_SERVER": "https://127.0.0.1:\(server.port)", "DRIVE_TOKEN": try await server.data.token(account: "a"),
                "HOME": folder, "XDG_STATE_HOME": folder + "/state",
            ]
            try Data(bytes(1000)).write(to: URL(fileURLWithPath: folder + "/file.bin"))
            // Nor does another authority do. An upload, which is patient with networks, is not with this.
            for options in [["ls"], ["ls", "--ca-file", other.certificatePath], ["upload", folder + "/file.bin"]] {
                let result = try await DriveCommand.run(options, environment: settings)
                #expect(result.exit == .exited(78), "\(options): \(result.exit)")
                #expect(result.errors.contains("--ca-file"), "\(result.errors)")
            }
        }
    }

    @Test func aCertificateForAnotherNameIsRefused() async throws {
        try await Self.withPrivateAuthority("no-name", leafName: "DNS:elsewhere.test") { server, authority in
            let settings = ["DRIVE_SERVER": "https://127.0.0.1:\(server.port)", "DRIVE_TOKEN": try await server.data.token(account: "a")]
            let result = try await DriveCommand.run(["ls", "--ca-file", authority], environment: settings)
            #expect(result.exit == .exited(78), "\(result.exit)")
            #expect(result.errors.contains("another host name"), "\(result.errors)")
        }
    }

    struct Wrong: Sendable, CustomTestStringConvertible {
        var what: String
        var content: String?
        var says: String
        var testDescription: String { what }
    }

    @Test(
        arguments: [
            Wrong(what: "a file that is missing", content: nil, says: "No such file"),
            Wrong(what: "a file without a certificate", content: "hello\n", says: "no certificate"),
            Wrong(what: "an empty file", content: "", says: "no certificate"),
            Wrong(
                what: "a damaged certificate", content: "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
                says: "no certificate"),
        ]) func aWrongFileIsWrongUsage(_ wrong: Wrong) async throws
    {
        let folder = try TemporaryFolder.make("trust-wrong")
        defer { TemporaryFolder.remove(folder) }
        let path = folder + "/ca.pem"
        if let content = wrong.content { try Data(content.utf8).write(to: URL(fileURLWithPath: path)) }
        // Nobody listens there: the file is looked at before the network.
        let result = try await DriveCommand.run(
            ["ls", "--ca-file", path], environment: ["DRIVE_SERVER": "https://127.0.0.1:1", "DRIVE_TOKEN": "none"])
        #expect(result.exit == .exited(64), "usage: \(result.exit)")
        #expect(result.output.isEmpty)
        #expect(result.errors.contains(path) && result.errors.contains(wrong.says), "\(result.errors)")
    }

    /// Runs the body with a server that shows a certificate of an authority of its own, and the path of the authority's.
    private static func withPrivateAuthority(
        _ name: String, leafName: String = "IP:127.0.0.1", _ body: @escaping @Sendable (TLSServer, _ authority: String) async throws -> Void
    ) async throws {
        try await Slots.servers.with {
            let data = try DataFolder.make(name)
            defer { data.remove() }
            let folder = (data.path as NSString).deletingLastPathComponent
            let authority = folder + "/authority"
            let leaf = TLSCertificate(certificatePath: folder + "/leaf.crt", keyPath: folder + "/leaf.key")
            let common = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
            for arguments in [
                [
                    "-subj", "/CN=authority", "-addext", "keyUsage=critical,keyCertSign", "-keyout", authority + ".key", "-out",
                    authority + ".crt",
                ],
                [
                    "-subj", "/CN=leaf", "-addext", "subjectAltName=\(leafName)", "-addext", "basicConstraints=critical,CA:FALSE", "-CA",
                    authority + ".crt", "-CAkey", authority + ".key", "-keyout", leaf.keyPath, "-out", leaf.certificatePath,
                ],
            ] {
                let result = try await DriveCommand.run(common + arguments, program: "openssl", atMost: .seconds(30))
                guard result.exit == .exited(0) else { throw CommandFailed(description: "openssl: \(result.exit)\n\(result.errors)") }
            }
            let server = try await TLSServer.start(data, certificate: leaf)
            defer { server.kill() }
            try await body(server, authority + ".crt")
            #expect(try await server.terminate() == .exited(0), "\(server.log.suffix(2000))")
            try await data.expectClean()
        }
    }
}
