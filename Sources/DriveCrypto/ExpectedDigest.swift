/// A digest the sender promised for its bytes: RFC 9530 `Content-Digest`, tus's `Upload-Checksum`, or the form field
/// `checksum`.
public struct ExpectedDigest: Hashable, Sendable {
    public let algorithm: DigestAlgorithm
    /// As many bytes as `algorithm` has; checksums with the most significant byte first.
    public let value: [UInt8]

    /// Nil where the value has another length than the algorithm's.
    public init?(_ algorithm: DigestAlgorithm, _ value: [UInt8]) {
        guard value.count == algorithm.length else { return nil }
        self.algorithm = algorithm
        self.value = value
    }

    /// A CRC-32C (Castagnoli).
    public static func crc32c(_ value: UInt32) -> ExpectedDigest {
        ExpectedDigest(algorithm: .crc32c, bytes: RunningDigest.bigEndian(value))
    }

    private init(algorithm: DigestAlgorithm, bytes: [UInt8]) {
        self.algorithm = algorithm
        value = bytes
    }
}
