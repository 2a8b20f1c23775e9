import CDriveSystem

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4): the cheap checksum of every chunk.
public enum CRC32C {
    /// The checksum of `bytes`, continuing from the checksum of what came before (0 at the start).
    public static func checksum(of bytes: UnsafeRawBufferPointer, continuing crc: UInt32 = 0) -> UInt32 {
        guard let base = bytes.baseAddress else { return crc }
        return drive_crc32c(crc, base, bytes.count)
    }

    /// The checksum of two runs of bytes one after the other, from that of each and the second one's length in bytes.
    public static func combine(_ first: UInt32, _ second: UInt32, length: Int64) -> UInt32 {
        drive_crc32c_combine(first, second, UInt64(max(0, length)))
    }

    /// Eight lower-case hex digits.
    public static func hex(_ checksum: UInt32) -> String {
        Hex.encode([
            UInt8(truncatingIfNeeded: checksum >> 24), UInt8(truncatingIfNeeded: checksum >> 16),
            UInt8(truncatingIfNeeded: checksum >> 8), UInt8(truncatingIfNeeded: checksum),
        ])
    }
}
