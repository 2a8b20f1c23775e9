/// What is known of a file's bytes from its start on: the SHA-256 that names them, and the CRC-32C that is cheap enough to
/// be checked whenever all of them are read.
public struct FileDigest: Sendable {
    public private(set) var sha256 = SHA256Stream()
    public package(set) var crc32c: UInt32 = 0

    public init() {}

    /// Bytes digested so far.
    public var byteCount: Int64 { sha256.byteCount }

    /// Digests more bytes.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        sha256.update(bytes)
        crc32c = CRC32C.checksum(of: bytes, continuing: crc32c)
    }

    /// Digests more bytes for a caller that learns their CRC-32C elsewhere, and sets ``crc32c`` after the last of them.
    package mutating func updateSHA256(_ bytes: UnsafeRawBufferPointer) {
        sha256.update(bytes)
    }

    /// The SHA-256 in lower-case hex.
    public func hexDigest() -> String { sha256.hexDigest() }

    /// The state as bytes: the checksum, then the hash's state.
    public func savedState() -> [UInt8] {
        withUnsafeBytes(of: crc32c.littleEndian) { [UInt8]($0) } + sha256.savedState()
    }

    /// Resumes a saved state; nil where the bytes are none.
    public init?(savedState bytes: [UInt8]) {
        guard bytes.count > 4, let sha256 = SHA256Stream(savedState: Array(bytes[4...])) else { return nil }
        self.sha256 = sha256
        withUnsafeMutableBytes(of: &crc32c) { $0.copyBytes(from: bytes[..<4]) }
        crc32c = UInt32(littleEndian: crc32c)
    }
}
