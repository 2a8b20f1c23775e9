/// A digest the sender promised for its bytes (RFC 9530 `Content-Digest`, or the form field `checksum`).
public enum ExpectedDigest: Hashable, Sendable {
    /// 32 bytes.
    case sha256([UInt8])
    case crc32c(UInt32)
}
