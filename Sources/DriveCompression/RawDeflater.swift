import CLibZ

/// Deflates messages (RFC 1951, without a wrapper), each on its own: no context is taken over. Used by one thread at a time.
///
/// zlib's stream is touched in this module alone: where two C modules bring it, as zlib's own and gRPC's do, the compiler takes its
/// fields for those of the one that it happened to see first.
package final class RawDeflater {
    /// zlib keeps the address of its stream.
    private let stream: UnsafeMutablePointer<z_stream>

    /// - Parameters:
    ///   - windowBits: 9 to 15. zlib has no raw window of 8 bits.
    ///   - memoryLevel: 1 to 9; memory is `4 << windowBits` and `512 << memoryLevel` bytes, and resetting costs as it grows.
    /// - Returns: nil where there is no memory, or a parameter is out of range.
    package init?(windowBits: Int, memoryLevel: Int = 5, level: Int = 6) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let size = Int32(MemoryLayout<z_stream>.size)
        let code = deflateInit2_(
            stream, Int32(level), Z_DEFLATED, -Int32(windowBits), Int32(memoryLevel), Z_DEFAULT_STRATEGY, ZLIB_VERSION, size)
        // A refusal leaves the stream without state; `deinit` runs then too.
        guard code == Z_OK else { return nil }
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// Deflates a whole message.
    /// - Parameter output: room for the result and five bytes more.
    /// - Returns: the bytes of the result, without the four that every message ends with; nil where it does not fit.
    package func deflate(_ payload: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int? {
        guard deflateReset(stream) == Z_OK, let count = UInt32(exactly: payload.count), let room = UInt32(exactly: output.count) else {
            return nil
        }
        stream.pointee.next_in = UnsafeMutablePointer(mutating: payload.assumingMemoryBound(to: UInt8.self).baseAddress)
        stream.pointee.avail_in = count
        stream.pointee.next_out = output.assumingMemoryBound(to: UInt8.self).baseAddress
        stream.pointee.avail_out = room
        // Room that is left over proves that the flush is complete.
        guard CLibZ.deflate(stream, Z_SYNC_FLUSH) == Z_OK, stream.pointee.avail_in == 0, stream.pointee.avail_out > 0 else { return nil }
        return Int(room - stream.pointee.avail_out) - 4
    }
}
