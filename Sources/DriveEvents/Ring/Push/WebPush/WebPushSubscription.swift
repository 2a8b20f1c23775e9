import Crypto
import DriveModel

/// What a browser's `PushSubscription` gives: where to send, and to whom to encrypt (RFC 8030, RFC 8291 section 2).
public struct WebPushSubscription: Hashable, Sendable {
    public let endpoint: PushEndpoint
    /// The user agent's public key on P-256, an uncompressed point: 65 bytes.
    public let publicKey: [UInt8]
    /// The authentication secret: 16 bytes.
    let authenticationSecret: [UInt8]

    /// Why a subscription is of no use; what the client sent is not repeated.
    public enum Invalid: Error, Hashable, Sendable {
        /// Not an `https` URL, or it leads where the policy does not allow.
        case endpoint
        /// Not a point of P-256 in base64url.
        case p256dh
        /// Not 16 bytes in base64url.
        case auth
    }

    /// - Parameters: as `PushSubscription.toJSON()` has them; keys are base64url, padding is accepted.
    public init(endpoint: String, p256dh: String, auth: String, policy: PushAddressPolicy) throws(Invalid) {
        guard let endpoint = PushEndpoint(endpoint, policy: policy) else { throw .endpoint }
        // The point's check is on the curve itself: an invalid point would give parts of our key away.
        guard let publicKey = Self.decode(p256dh), publicKey.count == 65, publicKey[0] == 4,
            (try? P256.KeyAgreement.PublicKey(x963Representation: publicKey)) != nil
        else { throw .p256dh }
        guard let secret = Self.decode(auth), secret.count == 16 else { throw .auth }
        self.endpoint = endpoint
        self.publicKey = publicKey
        self.authenticationSecret = secret
    }

    private static func decode(_ text: String) -> [UInt8]? {
        guard text.utf8.count <= 100 else { return nil }
        var text = text
        // Some libraries pad; the lengths are checked anyway.
        while text.hasSuffix("=") { text.removeLast() }
        return Base64URL.decode(text.utf8)
    }
}

extension WebPushSubscription: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "Web Push at \(endpoint.origin)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [(label: String?, value: Any)]()) }
}
