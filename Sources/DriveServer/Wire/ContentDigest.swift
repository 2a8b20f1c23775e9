import DriveCrypto

extension ExpectedDigest {
    /// A member of `Content-Digest` or `Repr-Digest` (RFC 9530 §2).
    var fieldMember: String {
        "\(ContentDigest.key(of: algorithm))=:\(Base64.encode(value)):"
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
    /// What is verified, the strongest first. MD5 and SHA-1 are deprecated in the registry (RFC 9530 §5).
    static let supported: [DigestAlgorithm] = [.sha512, .sha256, .crc32c]

    /// The registry's key of an algorithm (RFC 9530 §5).
    static func key(of algorithm: DigestAlgorithm) -> String {
        switch algorithm {
        case .sha256: "sha-256"
        case .sha512: "sha-512"
        case .sha1: "sha"
        case .md5: "md5"
        case .crc32: "crc32"
        case .crc32c: "crc32c"
        }
    }

    /// The digests of `Content-Digest` or `Repr-Digest` that are supported, the strongest first; unknown algorithms are left out.
    ///
    /// Of a key given twice the last holds (RFC 9651 §3.2). Missing base64 padding is accepted, as §4.2.7 asks.
    static func parse(_ text: String) throws(ContentDigestError) -> [ExpectedDigest] {
        var scanner = StructuredFieldScanner(text)
        var members: [String: [UInt8]] = [:]
        guard scanner.scanByteSequences(into: &members) else { throw .malformed }
        var found: [ExpectedDigest] = []
        for algorithm in supported {
            guard let bytes = members[key(of: algorithm)] else { continue }
            guard let digest = ExpectedDigest(algorithm, bytes) else { throw .wrongLength(algorithm: key(of: algorithm)) }
            found.append(digest)
        }
        return found
    }

    /// The form field `checksum`: 64 hexadecimal digits (SHA-256), 8 (CRC-32C, most significant first), or the header's syntax.
    /// Where the latter holds several digests, the strongest supported one.
    static func parse(checksum text: String) throws(ContentDigestError) -> ExpectedDigest {
        let bytes = HTTPSyntax.trim(Array(text.utf8)[...])
        switch (bytes.count, HTTPSyntax.bytes(hex: bytes)) {
        case (64, .some(let bytes)): if let digest = ExpectedDigest(.sha256, bytes) { return digest }
        case (8, .some(let bytes)): if let digest = ExpectedDigest(.crc32c, bytes) { return digest }
        default: break
        }
        guard !bytes.isEmpty else { throw .malformed }
        guard let digest = try parse(text).first else { throw .unsupportedAlgorithm }
        return digest
    }
}
