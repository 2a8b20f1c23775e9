import DriveCrypto
import DriveModel
import NIOCore
import Synchronization

/// What was learned of a chunk's bytes on their way to the disk.
public struct ChunkDigests: Sendable {
    /// CRC-32C of the bytes written so far.
    public var crc32c: UInt32 = 0
    /// The whole file's hash up to the last byte written, where the chunk begins at the hash frontier.
    public var wholeFile: SHA256Stream?
    /// SHA-256 of the chunk alone, where its sender promised one.
    public var chunk: SHA256Stream?

    public init(wholeFile: SHA256Stream? = nil, chunk: SHA256Stream? = nil) {
        self.wholeFile = wholeFile
        self.chunk = chunk
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        crc32c = CRC32C.checksum(of: bytes, continuing: crc32c)
        wholeFile?.update(bytes)
        chunk?.update(bytes)
    }
}

/// Writes one chunk's bytes in order, in pieces, each on a thread of the I/O pool. One piece at a time.
///
/// The bytes are checksummed and hashed by the thread that wrote them, while they are in its caches.
public struct ChunkWriter: Sendable {
    /// How many written bytes make a write-back request worth its call.
    static let writebackStep: Int64 = 4 << 20
    /// What is left at a chunk's end is worth one from here on.
    static let writebackRest: Int64 = 512 << 10

    private let file: OpenFile
    private let io: IOPool
    private let start: Int64
    /// Bytes written so far.
    public private(set) var written: Int64 = 0
    public private(set) var digests: ChunkDigests
    private var writtenBack: Int64 = 0

    /// - Parameter start: the byte of the file at which the chunk begins.
    public init(file: OpenFile, io: IOPool, start: Int64, digests: ChunkDigests) {
        self.file = file
        self.io = io
        self.start = start
        self.digests = digests
    }

    /// Writes more bytes. Throws `StorageError`; the chunk is then to be refused.
    public mutating func write(_ buffers: [ByteBuffer]) async throws {
        let offset = start + written
        let before = digests
        let (after, count) = try await io.run { [file] in
            var digests = before
            var position = offset
            for buffer in buffers {
                try buffer.withUnsafeReadableBytes { bytes in
                    try file.write(bytes, at: position)
                    digests.update(bytes)
                    position += Int64(bytes.count)
                }
            }
            return (digests, position - offset)
        }
        digests = after
        written += count
        if written - writtenBack >= Self.writebackStep { startWriteback() }
    }

    /// Starts writing back what is left, so that the flush of a large file finds little to do. To be called at a
    /// chunk's end; a small rest waits for the flush.
    public mutating func finish() {
        if written - writtenBack >= Self.writebackRest { startWriteback() }
    }

    private mutating func startWriteback() {
        let (from, length) = (start + writtenBack, written - writtenBack)
        writtenBack = written
        io.submit { [file] in file.startWriteback(offset: from, length: length) }
    }
}

/// Reads a range of a file in pieces on the I/O pool's threads.
public struct RangeReader: Sendable {
    private let file: OpenFile
    private let io: IOPool
    private var position: Int64
    private let end: Int64

    public init(file: OpenFile, io: IOPool, range: Range<Int64>) {
        self.file = file
        self.io = io
        position = range.lowerBound
        end = range.upperBound
    }

    /// The next at most `size` bytes; nil at the range's end. A file that ends before the range throws
    /// `StorageError("pread", EIO)`: the reader gets an error, never a short success.
    public mutating func next(atMost size: Int, allocator: ByteBufferAllocator) async throws -> ByteBuffer? {
        let count = Int(min(Int64(size), end - position))
        guard count > 0 else { return nil }
        let offset = position
        let buffer = try await io.run { [file] in
            var buffer = allocator.buffer(capacity: count)
            let read = try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { bytes in
                try file.read(into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<count]), at: offset)
            }
            guard read == count else { throw StorageError("pread", 5) }
            return buffer
        }
        position += Int64(count)
        return buffer
    }
}

/// Hashes a range of a file, to catch up with bytes that arrived out of order, or to check stored bytes.
public enum RangeHasher {
    static let piece = 1 << 20

    /// Continues `hash` over the bytes of `range`; `progress` is told the position now and then and stops it by false.
    /// Returns the continued hash, or nil where it was stopped.
    public static func hash(
        _ file: OpenFile, range: Range<Int64>, continuing hash: SHA256Stream, io: IOPool,
        progress: @escaping @Sendable (Int64, SHA256Stream) -> Bool
    ) async throws -> SHA256Stream? {
        try await io.run {
            var hash = hash
            var position = range.lowerBound
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: piece, alignment: 4096)
            defer { buffer.deallocate() }
            while position < range.upperBound {
                let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(min(Int64(piece), range.upperBound - position))])
                let count = try file.read(into: part, at: position)
                guard count == part.count else { throw StorageError("pread", 5) }
                hash.update(UnsafeRawBufferPointer(part))
                position += Int64(count)
                guard progress(position, hash) else { return nil }
            }
            return hash
        }
    }

    /// The CRC-32C of a range of a file.
    public static func crc32c(_ file: OpenFile, range: Range<Int64>, io: IOPool) async throws -> UInt32 {
        try await io.run {
            var crc: UInt32 = 0
            var position = range.lowerBound
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: piece, alignment: 4096)
            defer { buffer.deallocate() }
            while position < range.upperBound {
                let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(min(Int64(piece), range.upperBound - position))])
                let count = try file.read(into: part, at: position)
                guard count == part.count else { throw StorageError("pread", 5) }
                crc = CRC32C.checksum(of: UnsafeRawBufferPointer(part), continuing: crc)
                position += Int64(count)
            }
            return crc
        }
    }
}
