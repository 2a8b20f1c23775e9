import DriveCrypto
import NIOCore
import Synchronization

/// The bytes of one chunk or file as they come from the network, whatever they were wrapped in.
public protocol ChunkBody {
    /// The next bytes; nil at the end. Throws `DriveError` where the wrapping is broken.
    mutating func next() async throws -> ByteBuffer?
    /// Digests the sender promised; complete only after the end. Throws `INVALID_REQUEST` for one that cannot be read.
    func expectedDigests() throws -> [ExpectedDigest]
    /// Whether a SHA-256 of these bytes alone may be asked for, so that it must be computed on the way.
    var mayExpectSHA256: Bool { get }
}

/// Shares the memory for gathering between the bodies that arrive at the moment.
final class PieceBudget: Sendable {
    private let total: Int
    private let largest: Int
    private let bodies = Atomic<Int>(0)

    init(total: Int, largest: Int) {
        self.total = total
        self.largest = largest
    }

    /// Runs `work` as one more body and tells it how many bytes to gather now.
    func withShare<Result>(_ work: (_ pieceSize: () -> Int) async throws -> Result) async rethrows -> Result {
        bodies.add(1, ordering: .relaxed)
        defer { bodies.subtract(1, ordering: .relaxed) }
        return try await work { max(128 << 10, min(self.largest, self.total / max(1, self.bodies.load(ordering: .relaxed)))) }
    }
}

/// Gathers network buffers to pieces that are worth a hop to a writing thread.
struct PieceReader<Body: ChunkBody> {
    var body: Body
    private var ended = false

    init(_ body: Body) {
        self.body = body
    }

    /// The next buffers, together at least `size` bytes unless the body ends; empty at the end. `heard` is told of every
    /// buffer, so that a slow sender is not taken for a silent one.
    mutating func next(_ size: Int, heard: () -> Void = {}) async throws -> (buffers: [ByteBuffer], count: Int) {
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
