import DriveCrypto

extension ExpectedDigest {
    /// A member of `Content-Digest` or `Repr-Digest` (RFC 9530 §2).
    var fieldMember: String {
        switch self {
        case .sha256(let bytes): "sha-256=:\(Base64.encode(bytes)):"
        case .crc32c(let value): "crc32c=:\(Base64.encode(ContentDigest.bigEndian(value))):"
        }
    }
}

/// Why a digest could not be read.
enum ContentDigestError: Error, Hashable, Sendable {
    /// Not a dictionary of byte sequences (RFC 9530 §2, RFC 9651 §3.2), or no known form of `checksum`.
    case malformed
    /// A digest of a known algorithm has another length than the algorithm's.
    case wrongLength(algorithm: String)
    /// A form field names no algorithm that is supported. (In a header such members are ignored.)
    case unsupportedAlgorithm

    /// Stable, for programs.
    var code: String {
        switch self {
        case .malformed: "DIGEST_MALFORMED"
        case .wrongLength: "DIGEST_WRONG_LENGTH"
        case .unsupportedAlgorithm: "DIGEST_ALGORITHM_UNSUPPORTED"
        }
    }

    /// One sentence for people. Contains nothing the client sent.
    var message: String {
        switch self {
        case .malformed: "The digest is not well-formed; send sha-256=:BASE64: or crc32c=:BASE64:."
        case .wrongLength(let algorithm): "The \(algorithm) digest does not have the length of that algorithm."
        case .unsupportedAlgorithm: "The digest's algorithm is not supported; use sha-256 or crc32c."
        }
    }
}

/// The digest fields of RFC 9530 and our form field `checksum`.
enum ContentDigest {
    /// The digests of `Content-Digest` or `Repr-Digest` that are supported, SHA-256 first; unknown algorithms are left out.
    ///
    /// Of a key given twice the last holds (RFC 9651 §3.2). Missing base64 padding is accepted, as §4.2.7 asks.
    static func parse(_ text: String) throws(ContentDigestError) -> [ExpectedDigest] {
        var scanner = StructuredFieldScanner(text)
        var members: [String: [UInt8]] = [:]
        guard scanner.scanByteSequences(into: &members) else { throw .malformed }
        var found: [ExpectedDigest] = []
        if let bytes = members["sha-256"] {
            guard bytes.count == 32 else { throw .wrongLength(algorithm: "sha-256") }
            found.append(.sha256(bytes))
        }
        if let bytes = members["crc32c"] {
            guard bytes.count == 4 else { throw .wrongLength(algorithm: "crc32c") }
            found.append(.crc32c(bytes.reduce(0) { $0 << 8 | UInt32($1) }))
        }
        return found
    }

    /// The form field `checksum`: 64 hexadecimal digits (SHA-256), 8 (CRC-32C, most significant first), or the header's syntax.
    /// Where the latter holds several digests, the strongest supported one.
    static func parse(checksum text: String) throws(ContentDigestError) -> ExpectedDigest {
        let bytes = HTTPSyntax.trim(Array(text.utf8)[...])
        switch (bytes.count, HTTPSyntax.bytes(hex: bytes)) {
        case (64, .some(let digest)): return .sha256(digest)
        case (8, .some(let value)): return .crc32c(value.reduce(0) { $0 << 8 | UInt32($1) })
        default: break
        }
        guard !bytes.isEmpty else { throw .malformed }
        guard let digest = try parse(text).first else { throw .unsupportedAlgorithm }
        return digest
    }

    static func bigEndian(_ value: UInt32) -> [UInt8] {
        [
            UInt8(truncatingIfNeeded: value >> 24), UInt8(truncatingIfNeeded: value >> 16), UInt8(truncatingIfNeeded: value >> 8),
            UInt8(truncatingIfNeeded: value),
        ]
    }
}
