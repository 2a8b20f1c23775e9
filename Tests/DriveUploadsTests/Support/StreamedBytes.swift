import DriveCrypto
import DriveEvents
import DriveModel
import DriveUploads
import EngineTestSupport
import NIOCore
import Synchronization

/// A stream's body as a test scripts it: bytes, silence, a break; and it can be interrupted while it stands still.
struct StreamedBytes: StreamBody {
    enum Step: Sendable {
        case bytes([UInt8])
        /// Nothing comes for a while.
        case silence
        /// Tells `reached`, then stands still until it is interrupted, or `goOn` opens.
        case stall(reached: Gate, goOn: Gate)
        case fail(DriveError)
    }

    private final class Switch: Sendable {
        let isOff = Flag()
        let stalledOn = Mutex<Gate?>(nil)
    }

    private var steps: ArraySlice<Step>
    private let digests: [ExpectedDigest]
    /// Whether the digests are known only after the bytes.
    private let areTrailing: Bool
    private let interruption = Switch()

    init(_ steps: [Step], digests: [ExpectedDigest] = [], trailing: Bool = false) {
        self.steps = steps[...]
        self.digests = digests
        areTrailing = trailing
    }

    init(_ bytes: some Collection<UInt8>, digests: [ExpectedDigest] = [], trailing: Bool = false) {
        let bytes = Array(bytes)
        self.init(
            stride(from: 0, to: bytes.count, by: 10_000).map { .bytes(Array(bytes[$0..<min($0 + 10_000, bytes.count)])) }, digests: digests,
            trailing: trailing)
    }

    var isProvisional: Bool { !digests.isEmpty }
    var likelyDigests: [DigestAlgorithm] { areTrailing ? [] : digests.map(\.algorithm) }
    func expectedDigests() throws -> [ExpectedDigest] { digests }

    var interrupt: @Sendable () -> Void {
        { [interruption] in
            interruption.isOff.raise()
            interruption.stalledOn.withLock { $0 }?.open()
        }
    }

    static let broken = DriveError(.bodyTruncated, "The test's body broke off.")

    mutating func next() async throws -> ByteBuffer? {
        if interruption.isOff.isRaised { throw Self.broken }
        switch steps.popFirst() {
        case nil: return nil
        case .bytes(let bytes): return ByteBuffer(bytes: bytes)
        case .silence: return ByteBuffer()
        case .stall(let reached, let goOn):
            interruption.stalledOn.withLock { $0 = goOn }
            if interruption.isOff.isRaised { throw Self.broken }
            reached.open()
            await goOn.wait()
            if interruption.isOff.isRaised { throw Self.broken }
            return ByteBuffer()
        case .fail(let error): throw error
        }
    }
}

/// A stream upload of some content in its owner's name.
struct StreamScene: Sendable {
    let content: Content
    let owner: Caller
    let taskId: String

    static func create(
        _ content: Content, on drive: Instance, by owner: Caller = .someone(), _ change: (inout NewStream) -> Void = { _ in }
    ) async throws -> StreamScene {
        var request = NewStream(face: UploadFace.tus)
        request.fileName = "file.bin"
        request.length = Int64(content.bytes.count)
        change(&request)
        return StreamScene(content: content, owner: owner, taskId: try await drive.uploads.createStream(request, by: owner).taskId)
    }

    /// Sends bytes `range` of the content (all from `range.lowerBound` on where it reaches to the end).
    @discardableResult
    func send(
        _ range: Range<Int>, to drive: Instance, digests: [ExpectedDigest] = [], trailing: Bool = false, length: Int64? = nil,
        ending: StreamAppend.Ending = .whenWhole
    ) async throws -> StreamUpload {
        try await send(
            StreamedBytes(content.bytes[range], digests: digests, trailing: trailing), at: range.lowerBound, to: drive,
            contentLength: Int64(range.count), length: length, ending: ending)
    }

    @discardableResult
    func send(
        _ body: StreamedBytes, at offset: Int, to drive: Instance, contentLength: Int64? = nil, length: Int64? = nil,
        ending: StreamAppend.Ending = .whenWhole
    ) async throws -> StreamUpload {
        try await drive.uploads.append(
            body, to: taskId,
            StreamAppend(offset: Int64(offset), contentLength: contentLength, length: length, ending: ending), by: owner)
    }

    func look(_ drive: Instance) async throws -> StreamUpload { try await drive.uploads.stream(taskId, by: owner) }
    func offset(_ drive: Instance) async throws -> Int { Int(try await look(drive).offset) }

    /// Sends the rest; the file must be whole, and nothing else be left.
    func finish(_ drive: Instance) async throws -> CloudFile? {
        let upload = try await send(try await offset(drive)..<content.bytes.count, to: drive)
        guard case .completed(let file) = upload.phase else { return nil }
        return try await drive.bytes(of: file, owner: owner) == content.bytes ? file : nil
    }
}
