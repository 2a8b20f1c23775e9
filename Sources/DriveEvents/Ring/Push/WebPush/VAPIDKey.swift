import Crypto
import DriveModel
import Foundation

/// How the server identifies itself to Web Push services (RFC 8292).
public struct VAPIDKey: Sendable {
    private let key: PushSecret<P256.Signing.PrivateKey>
    /// A `mailto:` or `https:` URI at which a push service reaches the operator.
    public let subject: String

    /// - Parameter privateKey: 32 bytes in base64url, as the usual generators print them, or PEM.
    /// - Throws: `PushCredentialsError` for `vapid private key` or `vapid subject`.
    public init(privateKey: String, subject: String) throws(PushCredentialsError) {
        let text = privateKey.trimmingCharacters(in: .whitespacesAndNewlines)
        let parsed: P256.Signing.PrivateKey?
        if text.hasPrefix("-----BEGIN") {
            parsed = try? P256.Signing.PrivateKey(pemRepresentation: text)
        } else {
            parsed = Base64URL.decode(text.utf8).flatMap { try? P256.Signing.PrivateKey(rawRepresentation: $0) }
        }
        guard let parsed else {
            throw PushCredentialsError("vapid private key", expected: "a P-256 key, 32 bytes in base64url or PEM")
        }
        guard Self.isContact(subject) else { throw PushCredentialsError("vapid subject", expected: "a mailto: or https: URI") }
        key = PushSecret(parsed)
        self.subject = subject
    }

    /// A new private key, in the form the initializer reads: to be kept as a secret.
    public static func generatePrivateKey() -> String {
        Base64URL.encode(P256.Signing.PrivateKey().rawRepresentation)
    }

    /// What a browser takes as `applicationServerKey`: the public key in base64url.
    public var publicKey: String { Base64URL.encode(key.value.publicKey.x963Representation) }

    /// The `Authorization` field for one push service (RFC 8292 section 3).
    func authorization(audience: String, expires: Timestamp) throws -> String {
        var claims = JSONObjectWriter()
        claims.add("aud", audience)
        claims.add("exp", expires.seconds)
        claims.add("sub", subject)
        return "vapid t=\(try SignedToken.es256(header: JSONObjectWriter(), claims: claims, key: key.value)), k=\(publicKey)"
    }

    private static func isContact(_ text: String) -> Bool {
        guard text.utf8.count <= 256, text.utf8.allSatisfy(ASCII.isVisible) else { return false }
        if text.hasPrefix("mailto:") {
            let parts = text.dropFirst(7).split(separator: "@", omittingEmptySubsequences: false)
            return parts.count == 2 && parts.allSatisfy { !$0.isEmpty }
        }
        return text.hasPrefix("https://") && text.utf8.count > 8
    }
}
