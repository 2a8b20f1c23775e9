import Crypto
import DriveModel
import Foundation

/// The key that signs our own tokens (HS256, RFC 7518 §3.2), in `DATA/secrets/signing.key`.
package struct SigningKey: Sendable, CustomStringConvertible {
    /// The `kid` of our tokens.
    package let id: String
    private let key: SymmetricKey

    /// Takes 32 bytes.
    package init(bytes: [UInt8]) throws(SecretError) {
        guard bytes.count == SecretFile.keyBytes else { throw SecretError(message: "a signing key has \(SecretFile.keyBytes) bytes") }
        key = SymmetricKey(data: bytes)
        id = KeyIdentifier.derive(from: bytes, label: "drive-signing-key-id")
    }

    /// Reads the key of a data folder; makes it at the first start. Blocks: call it at start.
    package static func loadOrCreate(dataFolder: String, surroundings: Surroundings = .system) throws(SecretError) -> SigningKey {
        try SigningKey(
            bytes: SecretFile.loadOrCreate(name: "signing.key", folder: dataFolder + "/secrets", surroundings: surroundings))
    }

    func sign(_ bytes: some DataProtocol) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: bytes, using: key))
    }

    /// Compares in constant time.
    func isValid(_ signature: some ContiguousBytes, for bytes: some DataProtocol) -> Bool {
        HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: bytes, using: key)
    }

    package var description: String { "signing key \(id)" }
}

/// The key that seals stored secrets, in `DATA/secrets/master.key` or given by the operator.
package struct MasterKey: Sendable, CustomStringConvertible, CustomReflectable {
    /// Stands beside each sealed secret: the first 8 hex digits of SHA-256 of `drive-key-id` and the key.
    package let id: String
    /// 32 bytes; never to be logged.
    package let bytes: [UInt8]

    package init(bytes: [UInt8]) throws(SecretError) {
        guard bytes.count == SecretFile.keyBytes else { throw SecretError(message: "a master key has \(SecretFile.keyBytes) bytes") }
        self.bytes = bytes
        id = KeyIdentifier.derive(from: bytes, label: "drive-key-id")
    }

    /// Reads the master key; makes `master.key` in the data folder where none is given. Blocks: call it at start.
    ///
    /// - Parameters:
    ///   - base64: the key itself (`DRIVE_MASTER_KEY`); goes before all else.
    ///   - file: a file of the operator's, which must exist.
    package static func load(
        base64: Secret?, file: String?, dataFolder: String, surroundings: Surroundings = .system
    ) throws(SecretError) -> MasterKey {
        if let base64 {
            guard let data = Data(base64Encoded: base64.value.trimmingCharacters(in: .whitespacesAndNewlines)),
                data.count == SecretFile.keyBytes
            else {
                throw SecretError(message: "DRIVE_MASTER_KEY is not base64 of \(SecretFile.keyBytes) bytes")
            }
            return try MasterKey(bytes: [UInt8](data))
        }
        if let file {
            guard let bytes = try SecretFile.load(path: file) else {
                throw SecretError(message: "the master key file \(file) does not exist")
            }
            return try MasterKey(bytes: bytes)
        }
        return try MasterKey(
            bytes: SecretFile.loadOrCreate(name: "master.key", folder: dataFolder + "/secrets", surroundings: surroundings))
    }

    package var description: String { "master key \(id)" }
    package var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}

/// Names a key without giving it away.
enum KeyIdentifier {
    /// The first 8 hex digits of SHA-256 of `label` and the key.
    static func derive(from key: [UInt8], label: String) -> String {
        SHA256.hash(data: Array(label.utf8) + key).prefix(4).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
    }
}
