import DriveCrypto
import NIOCore

/// Reads a range of a file in pieces: what the page cache has on the caller's thread, which never waits, the rest on the
/// I/O pool's.
public struct RangeReader: Sendable {
    private let file: OpenFile
    private let io: IOPool
    private let expected: UInt32?
    private var crc32c: UInt32 = 0
    private var position: Int64
    private let end: Int64

    /// - Parameter expected: the CRC-32C that the range's bytes had when they were stored; nil checks nothing.
    public init(file: OpenFile, io: IOPool, range: Range<Int64>, expecting expected: UInt32? = nil) {
        self.file = file
        self.io = io
        self.expected = expected
        position = range.lowerBound
        end = range.upperBound
    }

    /// The next at most `size` bytes; nil at the range's end.
    ///
    /// A file that ends before the range throws `StorageError("pread", EIO)`, and bytes that are not those stored throw
    /// `StorageError("checksum", EBADMSG)` in place of the last piece: the reader gets an error, never a short or a wrong
    /// success.
    public mutating func next(atMost size: Int, allocator: ByteBufferAllocator) async throws -> ByteBuffer? {
        let count = Int(min(Int64(size), end - position))
        guard count > 0 else { return nil }
        var buffer = allocator.buffer(capacity: count)
        let cached = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { bytes in
            file.readCached(into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<count]), at: position)
        }
        // What is cached is a piece of its own: only what is not waits for the disk.
        if cached == 0 {
            let offset = position
            buffer = try await io.run { [file] in
                var buffer = allocator.buffer(capacity: count)
                let read = try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { bytes in
                    try file.read(into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<count]), at: offset)
                }
                guard read == count else { throw StorageError("pread", 5) }
                return buffer
            }
        }
        if expected != nil { crc32c = buffer.withUnsafeReadableBytes { CRC32C.checksum(of: $0, continuing: crc32c) } }
        position += Int64(buffer.readableBytes)
        if position == end, let expected, expected != crc32c { throw StorageError.wrongChecksum }
        return buffer
    }
}
