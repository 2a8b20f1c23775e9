import DriveCrypto
import NIOCore

/// The bytes of one chunk or file as they come from the network, whatever they were wrapped in.
public protocol ChunkBody {
    /// The next bytes; nil at the end. Throws `DriveError` where the wrapping is broken.
    ///
    /// An empty buffer says that nothing has come for a while: what was gathered is then written.
    mutating func next() async throws -> ByteBuffer?
    /// Digests the sender promised; complete only after the end. Throws `INVALID_REQUEST` for one that cannot be read.
    func expectedDigests() throws -> [ExpectedDigest]
    /// Of which algorithms a digest of these bytes alone may be asked for, so that it is computed on the way. One that is
    /// missing here is computed from the written bytes.
    var likelyDigests: [DigestAlgorithm] { get }
}

/// A body whose bytes count as they arrive, and which somebody else may end.
public protocol StreamBody: ChunkBody {
    /// Whether a digest was announced, be it for after the bytes: none of them counts unless it matches.
    var isProvisional: Bool { get }
    /// Makes `next` throw soon, where the end of the body is not there yet. From any thread; later calls do nothing.
    var interrupt: @Sendable () -> Void { get }
}
