import DriveCrypto
import Foundation
import TestSupport

/// Bytes that follow from a seed alone and do not repeat.
func bytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var generator = SeededGenerator(seed: seed)
    return [UInt8](unsafeUninitializedCapacity: count + 8) { buffer, initialized in
        var position = 0
        while position < count {
            var word = generator.next()
            for offset in position..<position + 8 {
                buffer.initializeElement(at: offset, to: UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
            position += 8
        }
        initialized = count
    }
}

/// SHA-256 in lower-case hex.
func sha256(_ bytes: [UInt8]) -> String { Hex.encode(sha256Digest(bytes)) }

func sha256Digest(_ bytes: [UInt8]) -> [UInt8] {
    var hash = SHA256Stream()
    bytes.withUnsafeBytes { hash.update($0) }
    return hash.digest()
}

func crc32c(_ bytes: [UInt8]) -> UInt32 {
    bytes.withUnsafeBytes { CRC32C.checksum(of: $0) }
}

/// A member of `Content-Digest` (RFC 9530 §2).
func contentDigest(crc32c value: UInt32) -> String {
    let bytes = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> UInt32($0)) }
    return "crc32c=:\(Data(bytes).base64EncodedString()):"
}

func contentDigest(sha256 bytes: [UInt8]) -> String {
    "sha-256=:\(Data(sha256Digest(bytes)).base64EncodedString()):"
}

/// HMAC-SHA-256 (RFC 2104).
func hmacSHA256(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
    let short = key.count > 64 ? sha256Digest(key) : key
    let padded = short + [UInt8](repeating: 0, count: 64 - short.count)
    return sha256Digest(padded.map { $0 ^ 0x5C } + sha256Digest(padded.map { $0 ^ 0x36 } + message))
}
