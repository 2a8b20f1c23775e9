import Foundation
import NIOCertificateReloading
import NIOSSL
import Testing

@testable import DriveRing

/// The certificate of the RingService's port, whose files change.
@Suite(.timeLimit(.minutes(1))) struct RingCertificatesTests {
    @Test func aRenewedPairIsShownAndABrokenOneIsToldOnce() async throws {
        let folder = try CertificateFolder()
        let certificates = try RingCertificates(certificatePath: folder.certificate, keyPath: folder.key)
        let first = try Self.chain(in: folder.certificate)
        #expect(Self.shown(by: certificates) == first)
        var isTold = false
        var faults = 0

        try Self.damage(folder.certificate)
        for _ in 0..<3 { await certificates.look(&isTold) { _ in faults += 1 } }
        #expect(Self.shown(by: certificates) == first && faults == 1)

        try folder.renew()
        let second = try Self.chain(in: folder.certificate)
        await certificates.look(&isTold) { _ in faults += 1 }
        #expect(Self.shown(by: certificates) == second && second != first && faults == 1)

        try Self.damage(folder.certificate)
        for _ in 0..<3 { await certificates.look(&isTold) { _ in faults += 1 } }
        #expect(Self.shown(by: certificates) == second && faults == 2)
    }

    private static func shown(by certificates: RingCertificates) -> [NIOSSLCertificateSource]? {
        certificates.reloader.sslContextConfigurationOverride.certificateChain
    }

    private static func chain(in path: String) throws -> [NIOSSLCertificateSource] {
        try NIOSSLCertificate.fromPEMFile(path).map { .certificate($0) }
    }

    private static func damage(_ path: String) throws { try Data("not a certificate".utf8).write(to: URL(filePath: path)) }

    @Test func theFilesAreLookedAtNowAndThen() async throws {
        let folder = try CertificateFolder()
        let certificates = try RingCertificates(certificatePath: folder.certificate, keyPath: folder.key)
        try FileManager.default.removeItem(atPath: folder.key)
        let (faults, fault) = AsyncStream.makeStream(of: Void.self)
        let run = Task { await certificates.run(every: .milliseconds(5)) { _ in fault.yield() } }
        for await _ in faults { break }
        run.cancel()
        await run.value
    }
}
