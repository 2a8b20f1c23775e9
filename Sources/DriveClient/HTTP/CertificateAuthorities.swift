import Foundation
import NIOSSL

/// Certificates of authorities that a server's certificate may come from, beside those the system trusts: a private CA, or a
/// server's certificate that vouches for itself.
public struct CertificateAuthorities: Sendable {
    let certificates: [NIOSSLCertificate]

    /// Reads one or more certificates in PEM; blocks.
    /// - Throws: `.invalidArgument` naming the file where it cannot be read or holds no certificate.
    public init(pemFile path: String) throws(DriveClientError) {
        guard let content = FileManager.default.contents(atPath: path) else {
            let reason = access(path, R_OK) == 0 ? "it is no file" : String(cString: strerror(errno))
            throw .invalidArgument("The CA file \(path) cannot be read: \(reason).")
        }
        do {
            certificates = try NIOSSLCertificate.fromPEMBytes([UInt8](content))
        } catch {
            throw .invalidArgument("The CA file \(path) holds no certificate in PEM, or one that is damaged.")
        }
    }
}
