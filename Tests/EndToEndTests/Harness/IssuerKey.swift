import DriveModel
import Foundation
import Testing

/// A signing key of an issuer that is not Drive, made and used by `openssl`.
struct IssuerKey: Sendable {
    enum Algorithm: String, CaseIterable, Sendable, CustomTestStringConvertible {
        case rs256 = "RS256"
        case es256 = "ES256"
        case edDSA = "EdDSA"

        var testDescription: String { rawValue }

        /// Options of `openssl genpkey`.
        fileprivate var options: [String] {
            switch self {
            case .rs256: ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
            case .es256: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
            case .edDSA: ["-algorithm", "ED25519"]
            }
        }
    }

    let algorithm: Algorithm
    /// `kid`.
    let id: String
    let privatePath: String
    /// The public key in PEM (SubjectPublicKeyInfo).
    let publicPath: String
    /// The public key as a JWK (RFC 7517, RFC 8037).
    let jwk: JSONValue
    /// The public key in DER (SubjectPublicKeyInfo).
    let der: [UInt8]

    static func make(_ algorithm: Algorithm, id: String, in folder: String) async throws -> IssuerKey {
        let (hidden, open, binary) = ("\(folder)/\(id).key", "\(folder)/\(id).pem", "\(folder)/\(id).der")
        let made = try await DriveCommand.run(["genpkey"] + algorithm.options + ["-out", hidden], program: "openssl")
        guard made.exit == .exited(0) else { throw CommandFailed(description: "openssl genpkey: \(made.errors)") }
        try await OpenSSL.run("pkey", "-in", hidden, "-pubout", "-out", open)
        try await OpenSSL.run("pkey", "-in", hidden, "-pubout", "-outform", "DER", "-out", binary)
        let der = Array(FileManager.default.contents(atPath: binary) ?? Data())
        // The key itself is the last thing in it: the point, without the byte that says it is not compressed.
        func tail(_ count: Int, butLast last: Int = 0) -> JSONValue {
            .string(HandSignedToken.base64URL(Array(der.dropLast(last).suffix(count))))
        }
        var jwk: [String: JSONValue] = ["kid": .string(id), "use": "sig", "alg": .string(algorithm.rawValue)]
        switch algorithm {
        case .rs256:
            // Modulus, then 02 03 01 00 01: the exponent 65537.
            jwk.merge(["kty": "RSA", "n": tail(256, butLast: 5), "e": "AQAB"]) { $1 }
        case .es256:
            jwk.merge(["kty": "EC", "crv": "P-256", "x": tail(32, butLast: 32), "y": tail(32)]) { $1 }
        case .edDSA:
            jwk.merge(["kty": "OKP", "crv": "Ed25519", "x": tail(32)]) { $1 }
        }
        return IssuerKey(algorithm: algorithm, id: id, privatePath: hidden, publicPath: open, jwk: .object(jwk), der: der)
    }

    /// The signature as a token holds it (RFC 7518 §3, RFC 8037 §3.1).
    func signature(of text: String) async throws -> [UInt8] {
        let work = try TemporaryFolder.make("signature")
        defer { TemporaryFolder.remove(work) }
        let (input, output) = (work + "/input", work + "/output")
        try Data(text.utf8).write(to: URL(fileURLWithPath: input))
        switch algorithm {
        case .rs256, .es256: try await OpenSSL.run("dgst", "-sha256", "-sign", privatePath, "-out", output, input)
        case .edDSA: try await OpenSSL.run("pkeyutl", "-sign", "-rawin", "-inkey", privatePath, "-in", input, "-out", output)
        }
        let signature = Array(FileManager.default.contents(atPath: output) ?? Data())
        return algorithm == .es256 ? Self.plain(signature) : signature
    }

    /// The two numbers of an ECDSA signature in DER, 32 bytes each.
    private static func plain(_ der: [UInt8]) -> [UInt8] {
        var rest = der.dropFirst(2)
        var numbers: [UInt8] = []
        for _ in 0..<2 {
            let length = Int(rest.dropFirst().first ?? 0)
            let number = rest.dropFirst(2).prefix(length).drop { $0 == 0 }
            numbers += [UInt8](repeating: 0, count: max(0, 32 - number.count)) + number
            rest = rest.dropFirst(2 + length)
        }
        return numbers
    }

    /// A JWK Set (RFC 7517 §5).
    static func set(_ keys: [JSONValue]) throws -> KeySetServer.Answer {
        .text(try DriveJSON.text(JSONValue.object(["keys": .array(keys)])))
    }
}

extension HandSignedToken {
    /// A token that is good for ten minutes.
    init(issuer: String, subject: String, audience: JSONValue, key: IssuerKey) {
        let now = Int64(Date().timeIntervalSince1970)
        header = ["alg": .string(key.algorithm.rawValue), "kid": .string(key.id), "typ": "JWT"]
        claims = [
            "iss": .string(issuer), "sub": .string(subject), "aud": audience, "iat": .integer(now), "exp": .integer(now + 600),
        ]
    }

    func signed(by key: IssuerKey) async throws -> String {
        let unsigned = try signed(with: "").dropLast()
        return "\(unsigned)." + Self.base64URL(try await key.signature(of: String(unsigned)))
    }
}
