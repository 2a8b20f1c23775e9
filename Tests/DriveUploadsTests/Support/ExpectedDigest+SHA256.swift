import DriveCrypto

extension ExpectedDigest {
    /// A promised SHA-256; filled up or cut to its 32 bytes, where a test wants a wrong one.
    static func sha256(_ bytes: some Sequence<UInt8>) -> ExpectedDigest {
        let value = Array(bytes) + [UInt8](repeating: 0, count: 32)
        return ExpectedDigest(.sha256, Array(value.prefix(32))) ?? .crc32c(0)
    }
}
