import Crypto
import CryptoExtras
import DriveModel
import Foundation

/// A JSON Web Token in compact form (RFC 7519, RFC 7515 section 3.1), signed as push providers ask for.
enum SignedToken {
    /// Signed with ES256 (RFC 7518 section 3.4).
    static func es256(header: JSONObjectWriter, claims: JSONObjectWriter, key: P256.Signing.PrivateKey) throws -> String {
        let input = signingInput(header: header, claims: claims, algorithm: "ES256")
        return try input + "." + Base64URL.encode(key.signature(for: Data(input.utf8)).rawRepresentation)
    }

    /// Signed with RS256 (RFC 7518 section 3.3).
    static func rs256(header: JSONObjectWriter, claims: JSONObjectWriter, key: _RSA.Signing.PrivateKey) throws -> String {
        let input = signingInput(header: header, claims: claims, algorithm: "RS256")
        let signature = try key.signature(for: Data(input.utf8), padding: .insecurePKCS1v1_5)
        return input + "." + Base64URL.encode(signature.rawRepresentation)
    }

    private static func signingInput(header: JSONObjectWriter, claims: JSONObjectWriter, algorithm: String) -> String {
        var header = header
        header.add("alg", algorithm)
        header.add("typ", "JWT")
        return Base64URL.encode(header.text.utf8) + "." + Base64URL.encode(claims.text.utf8)
    }
}
