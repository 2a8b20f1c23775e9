import DriveCrypto
import DriveModel
import DriveStorage
import Foundation
import Synchronization

/// A stream upload that is open in this process: its file, who appends to it, and the hash of all its kept bytes.
final class StreamSession: OpenUpload {
    struct State {
        var ledger: StreamLedger
        /// As of the last change of the rows that this process made.
        var record: UploadRecord
        /// Over every kept byte.
        var digest: FileDigest
        /// What the rows cover.
        var segments: StreamSegments
        /// The rows say that bytes come which count only if a digest matches.
        var isPendingNoted: Bool
        /// The client's last body came whole and was to end the upload.
        var isEnded: Bool
        /// When bytes were noted last.
        var lastActivity: Timestamp
        var writer: StreamWriter?
        var completion: Task<CloudFile, any Error>?
        var speed = SpeedWindow()
        var lastUse = ContinuousClock.now
        var users = 0
        /// Why nothing is taken any more.
        var closedAs: TaskStatus?
    }

    let taskId: String
    let accountId: UUID
    let face: String
    let file: OpenFile
    let pool: LocalPool
    let flush = FlushOnce()
    private let state: Mutex<State>

    init(record: UploadRecord, file: OpenFile, pool: LocalPool, digest: FileDigest, segments: StreamSegments) {
        taskId = record.taskId
        accountId = record.accountId
        face = record.face
        self.file = file
        self.pool = pool
        let length = record.isLengthDeferred ? nil : record.plan.fileSize
        state = Mutex(
            State(
                ledger: StreamLedger(offset: digest.byteCount, length: length), record: record, digest: digest, segments: segments,
                isPendingNoted: record.pendingFrom != nil, isEnded: record.isEnded, lastActivity: record.lastActivity))
    }

    func withState<Result: Sendable>(_ body: (inout sending State) throws -> sending Result) rethrows -> sending Result {
        try state.withLock(body)
    }

    var record: UploadRecord { withState { $0.record } }

    // MARK: Use

    var isIdle: Bool { withState { $0.users == 0 && $0.writer == nil && $0.completion == nil } }
    var lastUse: ContinuousClock.Instant { withState { $0.lastUse } }
    var speed: Double { withState { $0.speed.bytesPerSecond(at: .now) } }
    var verifiedBytes: Int64 { withState { $0.digest.byteCount } }

    func beginUse() {
        withState { state in
            state.users += 1
            state.lastUse = .now
        }
    }

    func endUse() {
        withState { $0.users -= 1 }
    }

    func close(as status: TaskStatus) async {
        let writer = withState { state in
            state.ledger.close()
            state.closedAs = state.closedAs ?? status
            return state.writer
        }
        // A writer that does not let go in time finds the upload closed when it does.
        _ = await writer?.end(patience: .seconds(10))
    }

    /// What a request meets that comes while nothing is taken.
    func closedError() -> DriveError {
        withState { state in state.record.refusal(as: state.closedAs ?? state.record.status) }
    }

    // MARK: Writers

    /// The right to append at an offset. Who holds it is ended, and what it brought is kept.
    ///
    /// Throws `OFFSET_MISMATCH`, `UPLOAD_BUSY` where the one before does not let go within `patience`.
    func beginWriting(at offset: Int64, interrupt: @escaping @Sendable () -> Void, patience: Duration) async throws -> StreamWriter {
        let deadline = ContinuousClock.now + patience
        while true {
            let (action, granted, holder) = withState { state -> (StreamLedger.AppendAction, StreamWriter?, StreamWriter?) in
                let action = state.ledger.append(at: offset)
                guard case .granted(let id) = action else { return (action, nil, state.writer) }
                let writer = StreamWriter(id: id, interrupt: interrupt)
                state.writer = writer
                return (action, writer, nil)
            }
            switch action {
            case .granted:
                guard let granted else { throw closedError() }
                return granted
            case .end: try await end(holder, deadline: deadline)
            case .mismatch(let kept): throw Self.mismatch(offset, kept: kept)
            case .closed: throw closedError()
            }
        }
    }

    /// Where the kept bytes end, once nobody adds to them.
    func settledOffset(patience: Duration) async throws -> Int64 {
        let deadline = ContinuousClock.now + patience
        while true {
            let (action, holder) = withState { ($0.ledger.currentOffset(), $0.writer) }
            switch action {
            case .tell(let offset): return offset
            case .end: try await end(holder, deadline: deadline)
            }
        }
    }

    private func end(_ holder: StreamWriter?, deadline: ContinuousClock.Instant) async throws {
        let rest = deadline - .now
        guard let holder, rest > .zero, await holder.end(patience: rest) else {
            try Task.checkCancellation()
            throw DriveError(
                .uploadBusy, "An earlier request for this upload has not let go of it yet; try again.",
                details: ["taskId": .string(taskId)], retryAfter: 1)
        }
    }

    /// Ends a writer: the kept bytes are those that `digest` covers.
    func finish(_ writer: StreamWriter, keeping digest: FileDigest) {
        withState { state in
            if state.ledger.finish(writer.id, keepingTo: digest.byteCount), digest.byteCount > state.digest.byteCount {
                state.digest = digest
            }
            if state.writer === writer { state.writer = nil }
            state.lastUse = .now
        }
        writer.letGo()
    }

    static func mismatch(_ offset: Int64, kept: Int64) -> DriveError {
        DriveError(
            .offsetMismatch, "The kept bytes end at \(kept), not at \(offset); go on from there.",
            details: ["offset": .integer(kept), "providedOffset": .integer(offset)])
    }
}
