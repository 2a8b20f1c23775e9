import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// A certificate that is replaced on disk while the server runs.
@Suite struct TLSRenewalTests {
    /// The files are looked at once a second, where there are connections.
    private static let limit = Duration.seconds(15)
    private static let complaint = "cannot be used; the old one stays"

    @Test func aNewCertificateIsTakenAndConnectionsStay() async throws {
        try await withTLSServer("tls-renewal") { server, certificate in
            let token = try await server.data.token(account: "a")
            let first = certificate.text
            #expect(try await TLSConnection.presentedCertificate(port: server.port) == first)
            let existing = try TLSConnection(port: server.port, trusting: certificate.certificatePath)
            #expect(try await existing.send(.GET, "/api/files/me", token: token).status == 200)

            let folder = (server.data.path as NSString).deletingLastPathComponent
            let renewed = try await TLSCertificate.make("renewed", in: folder)
            try renewed.replace(certificate)
            try await Self.waitFor(renewed.text, on: server.port)
            #expect(renewed.text != first)

            // The old connection goes on, with a body that takes many reads too.
            let content = bytes(2 << 20)
            let stored = try await existing.send(
                .POST, "/api/files/upload/direct?fileName=a", token: token, headers: [("Content-Type", "application/octet-stream")],
                body: content)
            let file: CloudFile = try stored.decode()
            #expect(try await existing.send(.GET, "/api/files/\(file.id)", token: token).body == content)
            // A new one is made by the new certificate alone.
            let next = try TLSConnection(port: server.port, trusting: renewed.certificatePath)
            #expect(try await next.send(.GET, "/api/files/\(file.id)/info", token: token).status == 200)
        }
    }

    struct Damage: Sendable, CustomTestStringConvertible {
        var what: String
        /// The file that the log has to name.
        var fault: @Sendable (TLSCertificate) -> String
        var spoil: @Sendable (TLSCertificate, _ folder: String) async throws -> Void
        var testDescription: String { what }
    }

    static let damages = [
        Damage(what: "a certificate that is none", fault: \.certificatePath) { files, _ in
            try TLSCertificate.replace(files.certificatePath, by: Data("hello\n".utf8))
        },
        Damage(what: "half a certificate", fault: \.certificatePath) { files, _ in
            let text = Array(files.text.utf8)
            try TLSCertificate.replace(files.certificatePath, by: Data(text.prefix(text.count / 2)))
        },
        Damage(what: "an empty key", fault: \.keyPath) { files, _ in try TLSCertificate.replace(files.keyPath, by: Data()) },
        Damage(what: "no key", fault: \.keyPath) { files, _ in try FileManager.default.removeItem(atPath: files.keyPath) },
        Damage(what: "no certificate", fault: \.certificatePath) { files, _ in
            try FileManager.default.removeItem(atPath: files.certificatePath)
        },
        Damage(what: "a certificate without its key", fault: \.keyPath) { files, folder in
            let other = try await TLSCertificate.make("other", in: folder)
            try TLSCertificate.replace(files.certificatePath, by: Data(contentsOf: URL(fileURLWithPath: other.certificatePath)))
        },
    ]

    @Test(arguments: damages) func aBrokenCertificateKeepsTheOldOne(_ damage: Damage) async throws {
        try await withTLSServer("tls-broken") { server, certificate in
            let folder = (server.data.path as NSString).deletingLastPathComponent
            let first = certificate.text
            let trusted = folder + "/trusted.crt"
            try Data(first.utf8).write(to: URL(fileURLWithPath: trusted))
            let existing = try TLSConnection(port: server.port, trusting: trusted)
            #expect(try await existing.send(.GET, "/health/live").status == 200)

            try await damage.spoil(certificate, folder)
            // Connections make the server look, and all of them are served with the old one.
            try await eventually(within: Self.limit, "the complaint in the log", every: .milliseconds(200)) {
                let presented = try await TLSConnection.presentedCertificate(port: server.port)
                #expect(presented == first)
                return server.log.contains(Self.complaint)
            }
            let line = try #require(server.log.split(separator: "\n").first { $0.contains(Self.complaint) })
            #expect(line.contains(#""level":"error""#) && line.contains(#""path":"\#(damage.fault(certificate))""#), "\(line)")
            #expect(try await existing.send(.GET, "/health/live").status == 200)
            let another = try TLSConnection(port: server.port, trusting: trusted)
            #expect(try await another.send(.GET, "/health/live").status == 200)

            // Mended, it is taken; the complaint was made once for this state of the files.
            let renewed = try await TLSCertificate.make("renewed", in: folder)
            try renewed.replace(certificate)
            try await Self.waitFor(renewed.text, on: server.port)
            // The moment between the two files of the new pair may have been seen and reported.
            #expect(server.log.split(separator: "\n").count { $0.contains(Self.complaint) } <= 2, "\(server.log)")
        }
    }

    private static func waitFor(_ certificate: String, on port: Int) async throws {
        try await eventually(within: limit, "the new certificate", every: .milliseconds(200)) {
            try await TLSConnection.presentedCertificate(port: port) == certificate
        }
    }
}
