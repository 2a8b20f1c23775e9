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
