import CLibZ

/// Inflates what was deflated without a wrapper (RFC 1951), piece by piece. Used by one thread at a time; holds about 40 KiB.
package final class RawInflater {
    /// How a step ended.
    package enum Step: Sendable {
        /// It goes on: with more input, or with more room.
        case ok
        /// Nothing could be done: the input is read, or there is no room.
        case starved
        /// A block that is marked as the last one ended.
        case ended
        /// The input is nothing that was deflated.
        case corrupt
    }

    /// How far a step goes (zlib's manual, `inflate`).
    package enum Flush: Sendable {
        /// As far as the input.
        case sync
        /// To the end of a block.
        case block
    }

    /// zlib keeps the address of its stream.
    private let stream: UnsafeMutablePointer<z_stream>

    /// Nil where there is no memory.
    package init?() {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // The largest window reads what was written with any. A refusal leaves the stream without state, for `deinit`.
        guard inflateInit2_(stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return nil }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Begins anew. False where it cannot.
    package func reset() -> Bool { inflateReset(stream) == Z_OK }

    /// Bytes that came out since it began.
    package var writtenBytes: Int { Int(stream.pointee.total_out) }

    /// Whether all input was read.
    package var isRead: Bool { stream.pointee.avail_in == 0 }

    /// Whether the last step ended right behind a block.
    package var isBehindBlock: Bool { stream.pointee.data_type & 128 != 0 }

    /// Takes the input of the next steps, which must stay where it is until they are over.
    package func take(_ input: UnsafeRawBufferPointer) {
        stream.pointee.next_in = UnsafeMutablePointer(mutating: input.assumingMemoryBound(to: UInt8.self).baseAddress)
        stream.pointee.avail_in = UInt32(input.count)
    }

    /// Inflates into the room there is. Returns the bytes that were written.
    package func step(_ flush: Flush, into output: UnsafeMutableRawBufferPointer) -> (end: Step, count: Int) {
        stream.pointee.next_out = output.assumingMemoryBound(to: UInt8.self).baseAddress
        stream.pointee.avail_out = UInt32(output.count)
        let end: Step =
            switch inflate(stream, flush == .sync ? Z_SYNC_FLUSH : Z_BLOCK) {
            case Z_OK: .ok
            case Z_BUF_ERROR: .starved
            case Z_STREAM_END: .ended
            default: .corrupt
            }
        return (end, output.count - Int(stream.pointee.avail_out))
    }
}
