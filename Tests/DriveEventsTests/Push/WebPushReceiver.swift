import Crypto
import Foundation

/// The user agent's side of RFC 8291, step by step as section 3.4 writes it, with HMAC alone: not how the sender does it.
struct WebPushReceiver {
    let key: P256.KeyAgreement.PrivateKey
    let authenticationSecret: [UInt8]

    struct Malformed: Error {
        var what: String
    }

    /// What was on the way; RFC 8291 appendix A lists them too.
    struct Opened {
        var plaintext: [UInt8]
        var recordSize: UInt32
        var padding: Int
        var inputKey: [UInt8]
        var contentKey: [UInt8]
        var nonce: [UInt8]
    }

    var publicKey: [UInt8] { [UInt8](key.publicKey.x963Representation) }

    func open(_ body: [UInt8]) throws -> Opened {
        // RFC 8188 section 2.1.
        guard body.count >= 86, body[20] == 65 else { throw Malformed(what: "header") }
        let salt = Array(body[..<16])
        let recordSize = body[16..<20].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let senderKey = Array(body[21..<86])
        let record = Array(body[86...])
        guard record.count <= Int(recordSize), record.count >= 17 else { throw Malformed(what: "more than one record") }

        let sender = try P256.KeyAgreement.PublicKey(x963Representation: senderKey)
        let shared = try key.sharedSecretFromKeyAgreement(with: sender).withUnsafeBytes { [UInt8]($0) }
        let keyPRK = hmac(authenticationSecret, shared)
        let inputKey = hmac(keyPRK, Array("WebPush: info".utf8) + [0] + publicKey + senderKey + [1])
        let prk = hmac(salt, inputKey)
        let contentKey = Array(hmac(prk, Array("Content-Encoding: aes128gcm".utf8) + [0, 1])[..<16])
        let nonce = Array(hmac(prk, Array("Content-Encoding: nonce".utf8) + [0, 1])[..<12])

        let box = try AES.GCM.SealedBox(
            nonce: AES.GCM.Nonce(data: nonce), ciphertext: record.dropLast(16), tag: record.suffix(16))
        let padded = [UInt8](try AES.GCM.open(box, using: SymmetricKey(data: contentKey)))
        guard let end = padded.lastIndex(where: { $0 != 0 }), padded[end] == 2 else { throw Malformed(what: "delimiter") }
        return Opened(
            plaintext: Array(padded[..<end]), recordSize: recordSize, padding: padded.count - end - 1, inputKey: inputKey,
            contentKey: contentKey, nonce: nonce)
    }

    private func hmac(_ key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        [UInt8](HMAC<SHA256>.authenticationCode(for: message, using: SymmetricKey(data: key)))
    }
}
