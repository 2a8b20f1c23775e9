import DriveCrypto
import DriveUploads
import EngineTestSupport
import NIOCore

/// A chunk on a slow line: small drops with pauses, until `flow` is raised; then the rest at once.
struct DrippingBody: ChunkBody {
    /// Opens with the first drop.
    let begun = Gate()
    let flow = Flag()
    let likelyDigests: [DigestAlgorithm] = []
    private var rest: ArraySlice<UInt8>
    private let drop: Int
    private let pause: Duration

    init(_ bytes: [UInt8], drop: Int, every pause: Duration) {
        rest = bytes[...]
        self.drop = drop
        self.pause = pause
    }

    func expectedDigests() throws -> [ExpectedDigest] { [] }

    mutating func next() async throws -> ByteBuffer? {
        guard !rest.isEmpty else { return nil }
        if !flow.isRaised { try await Task.sleep(for: pause) }
        let size = flow.isRaised ? rest.count : min(drop, rest.count)
        defer {
            rest = rest.dropFirst(size)
            begun.open()
        }
        return ByteBuffer(bytes: rest.prefix(size))
    }
}
