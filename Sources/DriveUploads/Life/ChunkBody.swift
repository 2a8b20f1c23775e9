import DriveCrypto
import NIOCore

/// The bytes of one chunk or file as they come from the network, whatever they were wrapped in.
public protocol ChunkBody {
    /// The next bytes; nil at the end. Throws `DriveError` where the wrapping is broken.
    mutating func next() async throws -> ByteBuffer?
    /// Digests the sender promised; complete only after the end. Throws `INVALID_REQUEST` for one that cannot be read.
    func expectedDigests() throws -> [ExpectedDigest]
    /// Whether a SHA-256 of these bytes alone may be asked for, so that it must be computed on the way.
    var mayExpectSHA256: Bool { get }
}

/// Gathers network buffers to pieces that are worth a hop to a writing thread.
struct PieceReader<Body: ChunkBody> {
    var body: Body
    let size: Int
    private var ended = false

    init(_ body: Body, size: Int) {
        self.body = body
        self.size = size
    }

    /// The next buffers, together at least `size` bytes unless the body ends; empty at the end. `heard` is told of every
    /// buffer, so that a slow sender is not taken for a silent one.
    mutating func next(heard: () -> Void = {}) async throws -> (buffers: [ByteBuffer], count: Int) {
        var buffers: [ByteBuffer] = []
        var count = 0
        while !ended, count < size {
            guard let buffer = try await body.next() else {
                ended = true
                break
            }
            if buffer.readableBytes == 0 { continue }
            heard()
            count += buffer.readableBytes
            buffers.append(buffer)
        }
        return (buffers, count)
    }
}
