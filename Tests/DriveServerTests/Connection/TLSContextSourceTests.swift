import Foundation
import Hummingbird
import Logging
import NIOCore
import NIOSSL
import Testing

@testable import DriveServer

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
