import DriveModel
import Synchronization

/// Counts an upload's bytes from many tasks at once and reports them, ten times a second at most.
final class ProgressTracker: Sendable {
    private struct State {
        var update: UploadUpdate
        var stored: Int64 = 0
        var inFlight: [Int: Int64] = [:]
        var meter = SpeedMeter()
        var lastReport: Duration?
    }

    private static let spacing: Duration = .milliseconds(100)
    private let state: Mutex<State>
    private let now: @Sendable () -> Duration
    private let report: @Sendable (UploadUpdate) -> Void

    init(total: Int64, now: @escaping @Sendable () -> Duration, report: @escaping @Sendable (UploadUpdate) -> Void) {
        self.now = now
        self.report = report
        state = Mutex(State(update: UploadUpdate(status: .waiting, progress: TransferProgress(bytes: 0, total: total))))
    }

    /// Bytes that were there before this process began.
    func resumed(bytes: Int64) {
        change(urgent: true) { state in
            state.stored = bytes
            state.update.resumedBytes = bytes
        }
    }

    /// Bytes of a chunk that went out so far.
    func sent(_ bytes: Int, ofChunk index: Int) {
        change(urgent: false) { $0.inFlight[index] = Int64(bytes) }
    }

    /// A chunk is acknowledged (`size` bytes), or failed (nil).
    func settled(chunk index: Int, size: Int64?) {
        change(urgent: false) { state in
            state.inFlight[index] = nil
            state.stored += size ?? 0
            if size != nil { state.update.status = .uploading }
        }
    }

    /// Acknowledged bytes as the server counts them.
    func corrected(storedBytes: Int64) {
        change(urgent: false) { $0.stored = storedBytes }
    }

    /// Bytes read, of a phase that only reads.
    func hashed(bytes: Int64) {
        change(urgent: false) { $0.stored = bytes }
    }

    func status(_ status: UploadStatus) {
        change(urgent: true) { state in
            // Speed and bytes of hashing say nothing about sending.
            if case .hashing = state.update.status, case .uploading = status {
                state.stored = 0
                state.meter = SpeedMeter()
            }
            state.update.status = status
        }
    }

    private func change(urgent: Bool, _ body: (inout State) -> Void) {
        let time = now()
        let update: UploadUpdate? = state.withLock { state in
            body(&state)
            let bytes = min(state.update.progress.total, state.stored + state.inFlight.values.reduce(0, +))
            state.meter.record(bytes: bytes, at: time)
            state.update.progress.bytes = bytes
            state.update.progress.bytesPerSecond = state.meter.bytesPerSecond(bytes: bytes, at: time)
            if !urgent, let last = state.lastReport, time - last < Self.spacing { return nil }
            state.lastReport = time
            return state.update
        }
        if let update { report(update) }
    }
}
