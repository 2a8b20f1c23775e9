import Foundation

/// The `openssl` command line (`scripts/prepare` installs it): another implementation than the one the server has.
enum OpenSSL {
    /// Runs one command. Throws `CommandFailed` with what it said.
    @discardableResult
    static func run(_ arguments: String...) async throws -> String {
        let result = try await DriveCommand.run(arguments, program: "openssl", atMost: .seconds(30))
        guard result.exit == .exited(0) else {
            throw CommandFailed(description: "openssl \(arguments.joined(separator: " ")): \(result.exit)\n\(result.errors)")
        }
        return result.output
    }
}

/// A certificate for 127.0.0.1 that vouches for itself, and its key.
struct TLSCertificate: Sendable {
    let certificatePath: String
    let keyPath: String

    static func make(_ name: String, in folder: String) async throws -> TLSCertificate {
        let certificate = TLSCertificate(certificatePath: "\(folder)/\(name).crt", keyPath: "\(folder)/\(name).key")
        try await OpenSSL.run(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=\(name)",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", certificate.keyPath, "-out", certificate.certificatePath)
        return certificate
    }

    /// The certificate in PEM.
    var text: String { DriveCommand.text(certificatePath).trimmingCharacters(in: .whitespacesAndNewlines) }

    /// Settings of a server that reads these files.
    var settings: [String: String] {
        ["DRIVE_TLS_CERTIFICATE_FILE": certificatePath, "DRIVE_TLS_KEY_FILE": keyPath]
    }

    /// Puts this pair in the place of another, each file at once, as certificate renewers do.
    func replace(_ other: TLSCertificate) throws {
        try Self.replace(other.certificatePath, by: Data(contentsOf: URL(fileURLWithPath: certificatePath)))
        try Self.replace(other.keyPath, by: Data(contentsOf: URL(fileURLWithPath: keyPath)))
    }

    static func replace(_ path: String, by content: Data) throws {
        try content.write(to: URL(fileURLWithPath: path), options: .atomic)
    }
}
