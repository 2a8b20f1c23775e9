import DriveCrypto

/// The rows that cover a stream's kept bytes, one after the other, each with the CRC-32C of its own bytes: after the loss
/// of power they tell how far the file can be trusted. A pure value.
///
/// The last row grows until it is large enough, so that many small requests make few rows.
struct StreamSegments: Hashable, Sendable {
    struct Row: Hashable, Sendable {
        var index: Int
        var start: Int64
        var size: Int64
        var crc32c: UInt32
    }

    /// Bytes from which on a row is not extended, for an upload of a few gigabytes at most.
    static let leastSize: Int64 = 8 << 20
    /// Rows that a large upload has at most, about.
    static let mostRows: Int64 = 10_000

    /// Rows so far, and where they end.
    private(set) var count = 0
    private(set) var end: Int64 = 0
    /// CRC-32C of all covered bytes.
    private var crcAtEnd: UInt32 = 0
    private var tailStart: Int64 = 0
    private var crcAtTailStart: UInt32 = 0

    /// Covers the bytes up to where `digest` has come. Returns the row to be written: a new one, or the last one anew; nil
    /// where nothing came.
    /// - Parameter length: bytes of the whole upload, as far as known.
    mutating func extend(to digest: FileDigest, length: Int64) -> Row? {
        guard digest.byteCount > end else { return nil }
        let least = max(Self.leastSize, max(length, end) / Self.mostRows)
        if count == 0 || end - tailStart >= least {
            count += 1
            tailStart = end
            crcAtTailStart = crcAtEnd
        }
        end = digest.byteCount
        crcAtEnd = digest.crc32c
        // What shifts the earlier bytes' checksum behind the tail's leaves the tail's own.
        let crc = CRC32C.combine(crcAtTailStart, 0, length: end - tailStart) ^ crcAtEnd
        return Row(index: count - 1, start: tailStart, size: end - tailStart, crc32c: crc)
    }

    /// Takes a row that was written before, in their order. False where it does not follow the one before.
    mutating func append(_ row: Row) -> Bool {
        guard row.index == count, row.start == end, row.size > 0 else { return false }
        count += 1
        tailStart = row.start
        crcAtTailStart = crcAtEnd
        crcAtEnd = CRC32C.combine(crcAtEnd, row.crc32c, length: row.size)
        end += row.size
        return true
    }
}
