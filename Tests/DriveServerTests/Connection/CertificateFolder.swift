import Foundation
import Testing

/// A folder with a self-signed certificate for `localhost` that can be replaced.
struct CertificateFolder: ~Copyable {
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
            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate,
        ]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
    }
}
