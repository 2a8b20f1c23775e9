import DriveCrypto
import Synchronization

/// What was learned of a chunk's bytes on their way to the disk.
public struct ChunkDigests: Sendable {
    /// CRC-32C of the bytes written so far.
    public var crc32c: UInt32 = 0
    /// The whole file's digest up to the last byte written, where the chunk begins at the hash frontier.
    public private(set) var wholeFile: FileDigest?
    /// Digests of these bytes alone, of algorithms in which their sender may have promised one.
    public var body: [RunningDigest]

    /// Bytes; about what the nearest cache of a processor holds.
    private static let block = 32 << 10

    private let frontier: FileDigest?
    private let isFromStart: Bool
    private var count: Int64 = 0

    /// - Parameter wholeFile: the digest of everything before the chunk.
    /// - Parameter body: what to digest the chunk alone with, besides CRC-32C, which is always computed.
    public init(wholeFile: FileDigest? = nil, body: [DigestAlgorithm] = []) {
        self.wholeFile = wholeFile
        frontier = wholeFile
        // What begins a file is the file's own digest so far.
        isFromStart = wholeFile?.byteCount == 0
        self.body = body.filter { $0 != .crc32c && !($0 == .sha256 && wholeFile?.byteCount == 0) }.map(RunningDigest.init)
    }

    /// The digest of these bytes alone; nil where it was not computed.
    public func value(of algorithm: DigestAlgorithm) -> [UInt8]? {
        if algorithm == .crc32c { return ExpectedDigest.crc32c(crc32c).value }
        if algorithm == .sha256, isFromStart { return wholeFile?.sha256.digest() }
        return body.first { $0.algorithm == algorithm }?.value()
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        count += Int64(bytes.count)
        // Block by block: what one digest has read the next finds in the processor's nearest cache.
        var rest = bytes[...]
        while !rest.isEmpty {
            let block = UnsafeRawBufferPointer(rebasing: rest.prefix(Self.block))
            rest = rest.dropFirst(Self.block)
            crc32c = CRC32C.checksum(of: block, continuing: crc32c)
            // The bytes are checksummed once: the file's checksum follows from the chunk's, at the end.
            wholeFile?.updateSHA256(block)
            for index in body.indices { body[index].update(block) }
        }
        if let frontier { wholeFile?.crc32c = CRC32C.combine(frontier.crc32c, crc32c, length: count) }
    }
}

/// Writes one chunk's bytes in order, piece by piece, each on a thread of the I/O pool. At most one piece is under way.
///
/// The bytes are checksummed and hashed by the thread that writes them; where a write waits for the disk itself, around
/// the page cache, by another thread meanwhile.
public struct ChunkWriter: Sendable {
    /// How many written bytes make a write-back request worth its call.
    static let writebackStep: Int64 = 4 << 20
    /// What is left at a chunk's end is worth one from here on.
    static let writebackRest: Int64 = 512 << 10

    private let file: OpenFile
    private let io: IOPool
    private let start: Int64
    /// Bytes handed to the writer so far.
    public private(set) var written: Int64 = 0
    /// Digests of the bytes whose pieces were given back.
    public private(set) var digests: ChunkDigests
    private var underWay: UnderWay?
    private var writtenBack: Int64 = 0

    private struct UnderWay {
        var piece: PieceBuffer
        /// Nil where the hashing work writes too.
        var write: PendingWork<Void>?
        var digests: PendingWork<ChunkDigests>
        var end: End
    }

    /// Tells once that nobody writes the piece any more.
    private final class End: Sendable {
        private let isTold = Atomic(false)
        private let tell: @Sendable () -> Void

        init(_ tell: @escaping @Sendable () -> Void) {
            self.tell = tell
        }

        func come() {
            if !isTold.exchange(true, ordering: .acquiringAndReleasing) { tell() }
        }
    }

    /// - Parameter start: the byte of the file at which the chunk begins.
    public init(file: OpenFile, io: IOPool, start: Int64, digests: ChunkDigests) {
        self.file = file
        self.io = io
        self.start = start
        self.digests = digests
    }

    /// Where in the file the next piece begins.
    public var position: Int64 { start + written }

    /// Begins to write a piece, after `settle`. `onEnd` runs once, when nobody writes any more, on a thread of the pool and
    /// before `settle` returns: who waits for the write need not wait for the next bytes.
    public mutating func begin(_ piece: PieceBuffer, onEnd: @escaping @Sendable () -> Void = {}) {
        let (offset, before) = (position, digests)
        written += Int64(piece.count)
        let writeback = nextWriteback()
        let isApart = file.bypassesCache && piece.count >= DirectDescriptor.least
        let end = End(onEnd)
        let write =
            isApart
            ? io.start { [file] in
                defer { end.come() }
                try file.write(piece.bytes, at: offset)
            } : nil
        let digests = io.start { [file] in
            var digests = before
            if !isApart {
                defer { end.come() }
                try file.write(piece.bytes, at: offset)
            }
            digests.update(piece.bytes)
            if let writeback { file.startWriteback(offset: writeback.lowerBound, length: Int64(writeback.count)) }
            return digests
        }
        underWay = UnderWay(piece: piece, write: write, digests: digests, end: end)
    }

    /// What the cache holds is written back early, so that the flush of a large file finds little to do.
    private mutating func nextWriteback() -> Range<Int64>? {
        guard !file.bypassesCache, written - writtenBack >= Self.writebackStep else { return nil }
        defer { writtenBack = written }
        return start + writtenBack..<start + written
    }

    /// Waits for the piece that is under way and gives it back; nil where there is none. Throws `StorageError`; the chunk
    /// is then to be refused.
    public mutating func settle() async throws -> PieceBuffer? {
        guard let work = underWay else { return nil }
        underWay = nil
        // Both have ended before either's error leaves: the piece is the caller's again.
        let hashed = await work.digests.result()
        let written = await work.write?.result()
        // Where the pool was closed the write never ran.
        work.end.come()
        try written?.get()
        digests = try hashed.get()
        return work.piece
    }

    /// Starts writing back what is left. To be called at a chunk's end; a small rest waits for the flush.
    public mutating func finish() {
        guard !file.bypassesCache, written - writtenBack >= Self.writebackRest else { return }
        let (from, length) = (start + writtenBack, written - writtenBack)
        writtenBack = written
        io.submit { [file] in file.startWriteback(offset: from, length: length) }
    }
}
