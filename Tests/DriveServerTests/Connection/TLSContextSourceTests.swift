import Foundation
import Hummingbird
import Logging
import NIOCore
import NIOSSL
import Testing

@testable import DriveServer

/// A folder with a self-signed certificate that can be replaced.
private struct CertificateFolder: ~Copyable {
    let url: URL
    var certificate: String { url.appending(path: "cert.pem").path }
    var key: String { url.appending(path: "key.pem").path }

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "drive-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        try renew()
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func renew() throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
            "/CN=localhost", "-keyout", key, "-out", certificate,
        ]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
    }
}

private func clientContext() throws -> NIOSSLContext {
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.certificateVerification = .none
    configuration.applicationProtocols = ["http/1.1"]
    return try NIOSSLContext(configuration: configuration)
}

@Suite struct TLSContextSourceTests {
    @Test func aRenewedCertificateIsServedAndABrokenOneIsNot() async throws {
        let folder = try CertificateFolder()
        let source = try TLSContextSource(
            certificatePath: folder.certificate, keyPath: folder.key, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        #expect(!source.reloadIfChanged())

        let first = try await served(by: source)
        #expect(first == (try NIOSSLCertificate.fromPEMFile(folder.certificate)[0].toDERBytes()))

        try folder.renew()
        #expect(source.reloadIfChanged())
        #expect(!source.reloadIfChanged())
        let second = try await served(by: source)
        #expect(second != first)

        try Data("not a certificate".utf8).write(to: URL(filePath: folder.certificate))
        #expect(!source.reloadIfChanged())
        #expect(try await served(by: source) == second)

        try FileManager.default.removeItem(atPath: folder.key)
        #expect(!source.reloadIfChanged())
        try folder.renew()
        #expect(source.reloadIfChanged())
    }

    /// One request over TLS.
    /// - Returns: the certificate the server showed.
    private func served(by source: TLSContextSource) async throws -> [UInt8] {
        let (shown, continuation) = AsyncStream<[UInt8]>.makeStream()
        var policy = ConnectionPolicy()
        // NIO's TLS client answers the farewell only when it closes.
        policy.lingerTimeout = .milliseconds(100)
        try await withServer(policy, tls: source) { router in
            router.get("hello") { request, _ in "hello \(request.head.scheme ?? "")" }
        } test: { server in
            let client = try await server.connect(tls: try clientContext())
            try await client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await client.read(until: "hello https").contains("200 OK"))
            if let certificate = try await client.channel.nioSSL_peerCertificate().get() {
                continuation.yield(try certificate.toDERBytes())
            }
            continuation.finish()
            // The orderly end over TLS: a last answer, then the end of the stream, no reset.
            try await client.send("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(try await client.read().hasSuffix("hello https"))
        }
        return await shown.reduce(into: []) { $0 = $1 }
    }
}
