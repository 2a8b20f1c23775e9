import DriveCompression
import NIOCore

/// Inflates messages of permessage-deflate (RFC 7692 §7.2.2), each on its own: no context is taken over.
///
/// Owned by one event loop, and not Sendable. Holds about 40 KiB, whatever the number of connections.
final class MessageInflater {
    private let inflater: RawInflater

    /// Nil where there is no memory.
    init?() {
        guard let inflater = RawInflater() else { return nil }
        self.inflater = inflater
    }

    /// Bytes the last message was inflated to, before it was read to its end or given up.
    var inflatedBytes: Int { inflater.writtenBytes }

    /// Inflates a whole message.
    /// - Parameters:
    ///   - payload: the compressed message without the four bytes that every message ends with.
    ///   - limit: bytes the result may have; inflating ends there.
    /// - Throws: `messageTooBig` or `corruptCompression`.
    func inflate(_ payload: ByteBuffer, limit: Int) throws(WebSocketViolation) -> ByteBuffer {
        guard inflater.reset() else { throw .inflaterUnavailable }
        let guess = min(limit, max(256, payload.readableBytes * 4))
        var output = ByteBufferAllocator().buffer(capacity: guess)
        var result = payload.withUnsafeReadableBytes { run($0, flush: .sync, output: &output, limit: limit) }
        if case .success(isFinalBlock: false) = result, payload.readableBytes > 0 {
            let tail: [UInt8] = [0x00, 0x00, 0xFF, 0xFF]
            result = tail.withUnsafeBytes { run($0, flush: .block, output: &output, limit: limit) }
            // Data that were cut off swallow the tail and end within a block.
            if case .success(isFinalBlock: false) = result, !inflater.isBehindBlock { throw .corruptCompression }
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

    private func run(
        _ input: UnsafeRawBufferPointer, flush: RawInflater.Flush, output: inout ByteBuffer, limit: Int
    ) -> Progress {
        inflater.take(input)
        while true {
            // One byte more than allowed shows that there is too much.
            let room = limit + 1 - output.readableBytes
            var (end, isFull) = (RawInflater.Step.ok, false)
            output.writeWithUnsafeMutableBytes(minimumWritableBytes: min(room, 512)) { space in
                let part = UnsafeMutableRawBufferPointer(rebasing: space.prefix(room))
                let (step, count) = inflater.step(flush, into: part)
                (end, isFull) = (step, count == part.count)
                return count
            }
            if output.readableBytes > limit { return .failure(.messageTooBig) }
            let isRead = inflater.isRead
            switch end {
            case .ok:
                if isRead, !isFull { return .success(isFinalBlock: false) }
            case .starved:
                return isRead ? .success(isFinalBlock: false) : .failure(.corruptCompression)
            case .ended:
                if isRead { return .success(isFinalBlock: true) }
                // More may follow a last block. It starts anew: nobody is known to refer back across it, and keeping the
                // window would let two bytes of input cost a copy of 32 KiB.
                guard inflater.reset() else { return .failure(.inflaterUnavailable) }
            case .corrupt:
                return .failure(.corruptCompression)
            }
        }
    }
}
