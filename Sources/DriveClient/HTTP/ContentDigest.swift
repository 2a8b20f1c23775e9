import Foundation

/// The header field `Content-Digest` (RFC 9530, section 2) with a CRC-32C.
enum ContentDigest {
    static let fieldName = "Content-Digest"

    /// `crc32c=:…:` over the four bytes, most significant first.
    static func value(crc32c checksum: UInt32) -> String {
        let bytes = withUnsafeBytes(of: checksum.bigEndian) { Data($0) }
        return "crc32c=:\(bytes.base64EncodedString()):"
    }
}
