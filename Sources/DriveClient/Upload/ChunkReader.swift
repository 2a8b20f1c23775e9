#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif
import DriveCrypto
import DriveModel
import NIOCore

/// Reads a file in chunks, on a thread of its own, and hashes it along while it is read in order.
actor ChunkReader {
    nonisolated let path: String
    nonisolated let identity: FileIdentity
    private nonisolated let executor = BlockingExecutor(label: "drive.upload.reader")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let file: FileDescriptor
    private var hasher = SHA256Stream()

    /// Opens a regular file for reading.
    /// - Throws: `.file`, `.invalidArgument` for a directory and whatever else is no regular file.
    static func open(path: String) async throws(DriveClientError) -> ChunkReader {
        try ChunkReader(path: path)
    }

    // Open and fstat of a path somebody named: short enough for any thread.
    private init(path: String) throws(DriveClientError) {
        let file = try FileDescriptor(path: path, flags: O_RDONLY | O_NONBLOCK)
        guard let status = file.status() else { throw .file(path: path, reason: systemErrorText()) }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw .invalidArgument("\(path) is a directory; Drive takes files. Pack it first: tar cf - \(path) | drive upload -")
        default: throw .invalidArgument("\(path) is not a regular file; pipe it into: drive upload -")
        }
        self.path = path
        self.identity = FileIdentity(status)
        self.file = file
    }

    /// A chunk's bytes and CRC-32C. Read in order, each byte is hashed as it passes.
    /// - Throws: `.fileChanged` where the file ends early, `.file`.
    func read(_ index: Int, of plan: ChunkPlan) throws(DriveClientError) -> ChunkPayload {
        let offset = plan.offset(of: index)
        let bytes = try read(offset: offset, count: Int(plan.size(of: index) ?? 0))
        let checksum = bytes.withUnsafeReadableBytes { bytes in
            if offset == hasher.byteCount { hasher.update(bytes) }
            return CRC32C.checksum(of: bytes)
        }
        return ChunkPayload(index: index, bytes: bytes, crc32c: checksum)
    }

    /// Those of the chunks whose CRC-32C is not the one given.
    func differing(from checksums: [Int: UInt32], of plan: ChunkPlan) throws(DriveClientError) -> [Int] {
        var differing: [Int] = []
        for (index, checksum) in checksums.sorted(by: { $0.key < $1.key }) {
            guard let size = plan.size(of: index) else { continue }
            let bytes = try read(offset: plan.offset(of: index), count: Int(size))
            if bytes.withUnsafeReadableBytes({ CRC32C.checksum(of: $0) }) != checksum { differing.append(index) }
        }
        return differing
    }

    private static let step: Int64 = 1 << 20

    /// Hashes up to 1 MiB more, from where the hash stands.
    /// - Returns: bytes hashed so far.
    func advanceHash() throws(DriveClientError) -> Int64 {
        let count = min(Self.step, identity.size - hasher.byteCount)
        guard count > 0 else { return hasher.byteCount }
        let bytes = try read(offset: hasher.byteCount, count: Int(count))
        bytes.withUnsafeReadableBytes { hasher.update($0) }
        return hasher.byteCount
    }

    /// The SHA-256 of the whole file in hex; nil until all of it was hashed.
    var digest: String? {
        hasher.byteCount >= identity.size ? hasher.hexDigest() : nil
    }

    /// Hashes what is left, in steps between which chunks can be read.
    nonisolated func finishHash(_ progress: @Sendable (Int64) -> Void = { _ in }) async throws(DriveClientError) -> String {
        while true {
            if let digest = await digest { return digest }
            if Task.isCancelled { throw .cancelled }
            progress(try await advanceHash())
        }
    }

    /// Whether the file is still the one that was opened.
    func isUnchanged() -> Bool {
        file.status().map { FileIdentity($0) == identity } ?? false
    }

    private func read(offset: Int64, count: Int) throws(DriveClientError) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: count)
        while buffer.readableBytes < count {
            let position = offset + Int64(buffer.readableBytes)
            let wanted = count - buffer.readableBytes
            var failure: Int32 = 0
            let got = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: wanted) { target in
                let result = pread(file.number, target.baseAddress, wanted, off_t(position))
                if result < 0 { failure = errno }
                return max(0, result)
            }
            if failure == EINTR { continue }
            guard failure == 0 else { throw .file(path: path, reason: systemErrorText(failure)) }
            guard got > 0 else { throw .fileChanged(path: path) }
        }
        return buffer
    }
}
