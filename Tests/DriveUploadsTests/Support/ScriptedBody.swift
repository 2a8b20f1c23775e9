import DriveCrypto
import DriveModel
import DriveUploads
import EngineTestSupport
import NIOCore

/// A chunk's bytes as a test scripts them: pieces, pauses, a break.
struct ScriptedBody: ChunkBody {
    enum Step: Sendable {
        case bytes([UInt8])
        /// Tells `reached`, then waits for `until`.
        case pause(reached: Gate, until: Gate)
        case fail(DriveError)
    }

    private var steps: ArraySlice<Step>
    private let digests: [ExpectedDigest]
    let likelyDigests: [DigestAlgorithm]

    init(_ steps: [Step], digests: [ExpectedDigest] = []) {
        self.steps = steps[...]
        self.digests = digests
        likelyDigests = digests.map(\.algorithm)
    }

    /// The bytes in pieces of 10,000.
    init(_ bytes: some Collection<UInt8>, digests: [ExpectedDigest] = []) {
        let bytes = Array(bytes)
        self.init(
            stride(from: 0, to: bytes.count, by: 10_000).map { .bytes(Array(bytes[$0..<min($0 + 10_000, bytes.count)])) }, digests: digests)
    }

    func expectedDigests() throws -> [ExpectedDigest] { digests }

    mutating func next() async throws -> ByteBuffer? {
        switch steps.popFirst() {
        case nil: return nil
        case .bytes(let bytes): return ByteBuffer(bytes: bytes)
        case .pause(let reached, let until):
            reached.open()
            await until.wait()
            return ByteBuffer()
        case .fail(let error): throw error
        }
    }
}
