import CLibCrypto
import CLibZ

/// The digests a sender may promise. SHA-256 and CRC-32C are Drive's own; the others are there because clients send them.
public enum DigestAlgorithm: String, CaseIterable, Hashable, Sendable {
    case sha256, sha512, sha1, md5, crc32, crc32c

    /// Bytes of a digest.
    public var length: Int {
        switch self {
        case .sha256: 32
        case .sha512: 64
        case .sha1: 20
        case .md5: 16
        case .crc32, .crc32c: 4
        }
    }
}

/// A digest over a stream of bytes. Copying the value copies the state.
public struct RunningDigest: Sendable {
    private enum State: Sendable {
        case sha256(SHA256Stream)
        case sha512(SHA512_CTX)
        case sha1(SHA_CTX)
        case md5(MD5_CTX)
        case crc32(UInt)
        case crc32c(UInt32)
    }

    public let algorithm: DigestAlgorithm
    private var state: State

    public init(_ algorithm: DigestAlgorithm) {
        self.algorithm = algorithm
        switch algorithm {
        case .sha256: state = .sha256(SHA256Stream())
        case .sha512:
            var context = SHA512_CTX()
            SHA512_Init(&context)
            state = .sha512(context)
        case .sha1:
            var context = SHA_CTX()
            SHA1_Init(&context)
            state = .sha1(context)
        case .md5:
            var context = MD5_CTX()
            MD5_Init(&context)
            state = .md5(context)
        case .crc32: state = .crc32(0)
        case .crc32c: state = .crc32c(0)
        }
    }

    /// Digests more bytes.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return }
        switch state {
        case .sha256(var stream):
            stream.update(bytes)
            state = .sha256(stream)
        case .sha512(var context):
            SHA512_Update(&context, base, bytes.count)
            state = .sha512(context)
        case .sha1(var context):
            SHA1_Update(&context, base, bytes.count)
            state = .sha1(context)
        case .md5(var context):
            MD5_Update(&context, base, bytes.count)
            state = .md5(context)
        case .crc32(let crc):
            state = .crc32(UInt(crc32_z(uLong(crc), base.assumingMemoryBound(to: Bytef.self), z_size_t(bytes.count))))
        case .crc32c(let crc): state = .crc32c(CRC32C.checksum(of: bytes, continuing: crc))
        }
    }

    /// The digest of what came so far; digesting may go on.
    public func value() -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: algorithm.length)
        switch state {
        case .sha256(let stream): return stream.digest()
        case .sha512(var context): SHA512_Final(&digest, &context)
        case .sha1(var context): SHA1_Final(&digest, &context)
        case .md5(var context): MD5_Final(&digest, &context)
        case .crc32(let crc): return Self.bigEndian(UInt32(truncatingIfNeeded: crc))
        case .crc32c(let crc): return Self.bigEndian(crc)
        }
        return digest
    }

    static func bigEndian(_ value: UInt32) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { [UInt8]($0) }
    }
}
