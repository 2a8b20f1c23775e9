import CLibCrypto

/// SHA-256 (FIPS 180-4) over a stream, whose state in the middle can be saved and resumed.
///
/// The state is libcrypto's `SHA256_CTX`, a plain struct; copying the value copies the state, so that a refused chunk
/// is undone by taking the copy from before it.
public struct SHA256Stream: Sendable {
    private var context = SHA256_CTX()
    /// Bytes hashed so far.
    public private(set) var byteCount: Int64 = 0

    public init() {
        SHA256_Init(&context)
    }

    /// Hashes more bytes.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return }
        SHA256_Update(&context, base, bytes.count)
        byteCount += Int64(bytes.count)
    }

    /// The digest of what was hashed so far, 32 bytes; hashing may go on.
    public func digest() -> [UInt8] {
        var copy = context
        var digest = [UInt8](repeating: 0, count: 32)
        SHA256_Final(&digest, &copy)
        return digest
    }

    /// The digest in lower-case hex.
    public func hexDigest() -> String { Hex.encode(digest()) }

    // What a saved state begins with: the layout it was saved from.
    private static let layout: [UInt8] = Array("sha256-ctx-1".utf8)

    /// The state as bytes: layout mark, byte count, then the struct. Good on machines of the same byte order.
    public func savedState() -> [UInt8] {
        var bytes = Self.layout
        withUnsafeBytes(of: byteCount.littleEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: context) { bytes.append(contentsOf: $0) }
        return bytes
    }

    /// Resumes a saved state; nil where the bytes are not one of this layout.
    public init?(savedState bytes: [UInt8]) {
        let header = Self.layout.count + 8
        guard bytes.count == header + MemoryLayout<SHA256_CTX>.size, bytes.starts(with: Self.layout) else { return nil }
        var count: Int64 = 0
        withUnsafeMutableBytes(of: &count) { $0.copyBytes(from: bytes[Self.layout.count..<header]) }
        withUnsafeMutableBytes(of: &context) { $0.copyBytes(from: bytes[header...]) }
        byteCount = Int64(littleEndian: count)
        // A length that disagrees with the struct's own bit counter is no state of ours.
        let bits = UInt64(context.Nh) << 32 | UInt64(context.Nl)
        guard byteCount >= 0, byteCount < 1 << 60, bits == UInt64(byteCount) * 8, Int64(context.num) == byteCount & 63,
            context.md_len == SHA256_DIGEST_LENGTH
        else { return nil }
    }
}
