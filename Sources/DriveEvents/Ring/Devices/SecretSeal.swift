import Crypto
import DriveModel
import Foundation

/// Seals secrets for the database with the master key: AES-256-GCM (NIST SP 800-38D) under a key derived for one purpose
/// (HKDF with SHA-256, RFC 5869), so that neither purpose can open what is the other's.
public struct SecretSeal: Sendable {
    /// Why a sealed text cannot be opened. It holds nothing of the text.
    public enum Failure: Error, Hashable, Sendable {
        /// It was sealed with another master key.
        case otherKey(id: String)
        /// It was changed, belongs to another row, or is no sealed text.
        case damaged
    }

    private let sealing: PushSecret<SymmetricKey>
    private let naming: PushSecret<SymmetricKey>
    private let keyId: String
    private let surroundings: Surroundings

    /// - Parameters:
    ///   - masterKey: 32 bytes; `keyId` names it beside each sealed text.
    ///   - purpose: what is sealed, such as `ring devices`.
    public init(masterKey: [UInt8], keyId: String, purpose: String, surroundings: Surroundings) {
        func derived(_ use: String) -> PushSecret<SymmetricKey> {
            PushSecret(
                HKDF<SHA256>.deriveKey(
                    inputKeyMaterial: SymmetricKey(data: masterKey), info: Data("drive \(purpose) \(use)".utf8), outputByteCount: 32))
        }
        sealing = derived("seal")
        naming = derived("fingerprint")
        self.keyId = keyId
        self.surroundings = surroundings
    }

    /// How each text begins that was sealed with this master key.
    var mark: String { keyId + "." }

    /// The text, sealed: the key's id, a dot, and base64url of nonce, ciphertext and tag.
    ///
    /// - Parameter place: the row it belongs to; opened anywhere else it is `damaged`.
    /// - Throws: what the library throws.
    public func seal(_ text: String, for place: String) throws -> String {
        let nonce = try AES.GCM.Nonce(data: surroundings.randomBytes(12))
        let box = try AES.GCM.seal(Data(text.utf8), using: sealing.value, nonce: nonce, authenticating: Data(place.utf8))
        return mark + Base64URL.encode(Array(nonce) + box.ciphertext + box.tag)
    }

    public func open(_ sealed: String, for place: String) throws(Failure) -> String {
        let parts = sealed.split(separator: ".", maxSplits: 1).map(String.init)
        guard parts.count == 2 else { throw .damaged }
        guard parts[0] == keyId else { throw .otherKey(id: String(parts[0].prefix(16))) }
        guard let bytes = Base64URL.decode(parts[1].utf8), let box = try? AES.GCM.SealedBox(combined: bytes),
            let plain = try? AES.GCM.open(box, using: sealing.value, authenticating: Data(place.utf8)),
            let text = String(bytes: plain, encoding: .utf8)
        else { throw .damaged }
        return text
    }

    /// The same for the same text, and nothing that could be found by trying texts without the key (HMAC, RFC 2104).
    public func fingerprint(_ text: String) -> String {
        Base64URL.encode(HMAC<SHA256>.authenticationCode(for: Data(text.utf8), using: naming.value))
    }
}
