import NIOCore

/// A buffer as a body in pieces, none handed over before the ones before it went out: so that progress shows inside a chunk on
/// a slow network, and so that a server's early answer is read.
///
/// AsyncHTTPClient takes pieces as fast as they come until its event loop says stop. A body that it holds whole counts as sent:
/// an answer that comes meanwhile may lose its content, or leave a connection in the pool that still has the body to send. So
/// each piece waits for the loop, which by then has written the one before and said stop where the network is full.
struct PacedPieces: AsyncSequence, Sendable {
    typealias Element = ByteBuffer
    let bytes: ByteBuffer
    /// Where the request's connection lives; without it nothing is paced.
    let loop: (any EventLoop)?
    /// Hears how many bytes went out so far.
    let sent: @Sendable (Int) -> Void

    struct AsyncIterator: AsyncIteratorProtocol {
        static let pieceSize = 256 << 10
        var rest: ByteBuffer
        let total: Int
        let loop: (any EventLoop)?
        let sent: @Sendable (Int) -> Void
        private var isOver = false

        init(_ pieces: PacedPieces) {
            rest = pieces.bytes
            total = pieces.bytes.readableBytes
            loop = pieces.loop
            sent = pieces.sent
        }

        mutating func next() async -> ByteBuffer? {
            guard !isOver else { return nil }
            // A loop that is shut down has nothing more to say.
            if let loop { try? await loop.submit {}.get() }
            // Asked for the next piece: the ones before went out.
            sent(total - rest.readableBytes)
            if let piece = rest.readSlice(length: Swift.min(rest.readableBytes, Self.pieceSize)), piece.readableBytes > 0 { return piece }
            // An empty piece waits like any other, so that the end comes after the last one went out.
            isOver = true
            return ByteBuffer()
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(self) }
}
