/// How a file is cut into chunks: the rules of the chunk size, and where each chunk lies. A pure value.
public struct ChunkPlan: Hashable, Sendable {
    /// Every chunk size is a multiple of this, 64 KiB, unless the whole file is smaller.
    public static let unit: Int64 = 65_536
    /// The number of chunks a file has at most, while the largest chunk size allows it.
    public static let preferredMaximumCount: Int64 = 10_000
    /// The number of chunks above which a file is refused.
    public static let absoluteMaximumCount: Int64 = 1_000_000

    /// Bytes of the file.
    public let fileSize: Int64
    /// Bytes of every chunk but the last.
    public let chunkSize: Int64
    /// An empty file has no chunk.
    public let count: Int

    public init(fileSize: Int64, chunkSize: Int64) {
        self.fileSize = fileSize
        self.chunkSize = max(1, chunkSize)
        self.count = fileSize <= 0 ? 0 : Int((fileSize - 1) / self.chunkSize + 1)
    }

    /// Decides the plan for a new upload.
    ///
    /// - Parameters:
    ///   - fileSize: bytes, as the client announced.
    ///   - requested: the client's wish in bytes, nil for the default.
    ///   - defaultSize: bytes where the client has no wish.
    ///   - maximumSize: bytes a chunk has at most.
    ///   - maximumFileSize: bytes a file has at most.
    /// - Throws: `INVALID_FILE_SIZE`, `FILE_TOO_LARGE`, `INVALID_CHUNK_SIZE`.
    public static func decide(
        fileSize: Int64, requested: Int64?, defaultSize: Int64, maximumSize: Int64, maximumFileSize: Int64
    ) throws(DriveError) -> ChunkPlan {
        guard fileSize >= 0 else {
            throw DriveError(.invalidFileSize, "fileSize is \(fileSize); it must be 0 or more bytes.")
        }
        guard fileSize <= maximumFileSize, fileSize <= maximumSize * absoluteMaximumCount else {
            throw DriveError(
                .fileTooLarge, "fileSize is \(fileSize); this server takes files up to \(maximumFileSize) bytes.",
                details: ["maxFileSize": .integer(maximumFileSize)])
        }
        if let requested, requested <= 0 {
            throw DriveError(.invalidChunkSize, "chunkSize is \(requested); it must be more than 0 bytes.")
        }
        let wish = min(max(requested ?? defaultSize, unit), maximumSize)
        var size = min(maximumSize, (wish + unit - 1) / unit * unit)
        let needed = (fileSize + preferredMaximumCount - 1) / preferredMaximumCount
        if size < needed { size = min(maximumSize, (needed + unit - 1) / unit * unit) }
        if fileSize > 0, fileSize < unit { size = fileSize }
        return ChunkPlan(fileSize: fileSize, chunkSize: size)
    }

    /// Bytes of a chunk; nil where the index is not one of the plan's.
    public func size(of index: Int) -> Int64? {
        guard index >= 0, index < count else { return nil }
        return index == count - 1 ? fileSize - Int64(index) * chunkSize : chunkSize
    }

    /// The byte at which a chunk begins.
    public func offset(of index: Int) -> Int64 {
        Int64(index) * chunkSize
    }
}
