import Crypto
import DriveModel
import Foundation

/// Encrypts messages for Web Push (RFC 8291) with the content coding `aes128gcm` (RFC 8188), in one record.
enum WebPushMessage {
    /// What every push service takes (RFC 8291 section 4); it is the record size too.
    static let maximumBody = 4096
    /// Salt, record size, length of the key id, and the key id, which is the sender's public key (RFC 8188 section 2.1).
    static let headerLength = 16 + 4 + 1 + 65
    /// The most bytes of plaintext: what header, tag and the delimiter leave.
    static let maximumPlaintext = maximumBody - headerLength - 16 - 1

    enum Failure: Error, Hashable {
        case tooLong
        case invalidKey
    }

    /// What must be new in every message (RFC 8291 section 3.1).
    struct Fresh {
        /// 16 bytes.
        let salt: [UInt8]
        let key: P256.KeyAgreement.PrivateKey

        init(salt: [UInt8], key: P256.KeyAgreement.PrivateKey) {
            self.salt = salt
            self.key = key
        }

        /// From a random source. Not every number is a key of the curve, but all except one in 2^32 are.
        init(randomBytes: (Int) -> [UInt8]) throws {
            salt = randomBytes(16)
            for _ in 0..<4 {
                if let key = try? P256.KeyAgreement.PrivateKey(rawRepresentation: randomBytes(32)) {
                    self.key = key
                    return
                }
            }
            throw Failure.invalidKey
        }
    }

    /// The encrypted body.
    /// - Parameter paddedTo: the plaintext is padded to as many bytes where it is shorter, so that its length tells less;
    ///   brought to ``maximumPlaintext`` at most.
    static func encrypt(
        _ plaintext: [UInt8], publicKey: [UInt8], authenticationSecret: [UInt8], fresh: Fresh, paddedTo: Int = 0
    ) throws -> [UInt8] {
        guard plaintext.count <= maximumPlaintext else { throw Failure.tooLong }
        let receiver = try P256.KeyAgreement.PublicKey(x963Representation: publicKey)
        let sender = [UInt8](fresh.key.publicKey.x963Representation)
        let shared = try fresh.key.sharedSecretFromKeyAgreement(with: receiver)

        // RFC 8291 section 3.4: the input keying material, from the shared and the authentication secret.
        let material = shared.hkdfDerivedSymmetricKey(
            using: SHA256.self, salt: authenticationSecret, sharedInfo: Array("WebPush: info\0".utf8) + publicKey + sender,
            outputByteCount: 32)
        // RFC 8188 sections 2.2 and 2.3: key and nonce; the one record has the sequence number 0, which leaves the nonce as it is.
        func derive(_ info: String, _ count: Int) -> SymmetricKey {
            HKDF<SHA256>.deriveKey(inputKeyMaterial: material, salt: fresh.salt, info: Array(info.utf8), outputByteCount: count)
        }
        let key = derive("Content-Encoding: aes128gcm\0", 16)
        let nonce = try derive("Content-Encoding: nonce\0", 12).withUnsafeBytes { try AES.GCM.Nonce(data: $0) }

        // The delimiter of the last record is 2; padding follows it.
        let padding = max(0, min(paddedTo, maximumPlaintext) - plaintext.count)
        let sealed = try AES.GCM.seal(plaintext + [2] + [UInt8](repeating: 0, count: padding), using: key, nonce: nonce)
        let recordSize: [UInt8] = withUnsafeBytes(of: UInt32(maximumBody).bigEndian) { Array($0) }
        return fresh.salt + recordSize + [UInt8(sender.count)] + sender + [UInt8](sealed.ciphertext) + [UInt8](sealed.tag)
    }
}
