import CLibZ
import NIOCore

/// Inflates messages of permessage-deflate (RFC 7692 §7.2.2), each on its own: no context is taken over.
///
/// Owned by one event loop, and not Sendable. Holds about 40 KiB, whatever the number of connections.
final class MessageInflater {
    /// zlib keeps the address of its stream.
    private let stream: UnsafeMutablePointer<z_stream>

    /// Nil where there is no memory.
    init?() {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // The largest window reads what was written with any. A refusal leaves the stream without state, for `deinit`.
        guard inflateInit2_(stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return nil }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Bytes the last message was inflated to, before it was read to its end or given up.
    var inflatedBytes: Int { Int(stream.pointee.total_out) }

    /// Inflates a whole message.
    /// - Parameters:
    ///   - payload: the compressed message without the four bytes that every message ends with.
    ///   - limit: bytes the result may have; inflating ends there.
    /// - Throws: `messageTooBig` or `corruptCompression`.
    func inflate(_ payload: ByteBuffer, limit: Int) throws(WebSocketViolation) -> ByteBuffer {
        guard inflateReset(stream) == Z_OK else { throw .inflaterUnavailable }
        let guess = min(limit, max(256, payload.readableBytes * 4))
        var output = ByteBufferAllocator().buffer(capacity: guess)
        var result = payload.withUnsafeReadableBytes { run($0, flush: Z_SYNC_FLUSH, output: &output, limit: limit) }
        if case .success(isFinalBlock: false) = result, payload.readableBytes > 0 {
            let tail: [UInt8] = [0x00, 0x00, 0xFF, 0xFF]
            result = tail.withUnsafeBytes { run($0, flush: Z_BLOCK, output: &output, limit: limit) }
            // Data that were cut off swallow the tail and end within a block.
            if case .success(isFinalBlock: false) = result, stream.pointee.data_type & 128 == 0 { throw .corruptCompression }
        }
        switch result {
        case .success: return output
        case .failure(let violation): throw violation
        }
    }

    private enum Progress {
        /// All input was read; `isFinalBlock` where it ended with a block that is marked as the last one (§7.2.3.4).
        case success(isFinalBlock: Bool)
        case failure(WebSocketViolation)
    }

    private func run(_ input: UnsafeRawBufferPointer, flush: Int32, output: inout ByteBuffer, limit: Int) -> Progress {
        stream.pointee.next_in = UnsafeMutablePointer(mutating: input.assumingMemoryBound(to: UInt8.self).baseAddress)
        stream.pointee.avail_in = UInt32(input.count)
        while true {
            // One byte more than allowed shows that there is too much.
            let room = limit + 1 - output.readableBytes
            var code = Z_OK
            output.writeWithUnsafeMutableBytes(minimumWritableBytes: min(room, 512)) { space in
                let count = min(space.count, room)
                stream.pointee.next_out = space.assumingMemoryBound(to: UInt8.self).baseAddress
                stream.pointee.avail_out = UInt32(count)
                code = CLibZ.inflate(stream, flush)
                return count - Int(stream.pointee.avail_out)
            }
            if output.readableBytes > limit { return .failure(.messageTooBig) }
            let isRead = stream.pointee.avail_in == 0
            switch code {
            case Z_OK:
                if isRead, stream.pointee.avail_out > 0 { return .success(isFinalBlock: false) }
            case Z_BUF_ERROR:
                return isRead ? .success(isFinalBlock: false) : .failure(.corruptCompression)
            case Z_STREAM_END:
                if isRead { return .success(isFinalBlock: true) }
                // More may follow a last block. It starts anew: nobody is known to refer back across it, and keeping the
                // window would let two bytes of input cost a copy of 32 KiB.
                guard inflateReset(stream) == Z_OK else { return .failure(.inflaterUnavailable) }
            default:
                return .failure(.corruptCompression)
            }
        }
    }
}
