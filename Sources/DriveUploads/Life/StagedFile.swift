import DriveCrypto
import DriveModel
import DriveStorage
import Synchronization

/// An upload whose bytes are all there, however they came.
struct StagedFile: Sendable {
    let record: UploadRecord
    let file: OpenFile
    let pool: LocalPool
    /// Over the whole file.
    let digest: FileDigest
    let flush: FlushOnce
}

/// Flushes a file until it fails once: its pages may be gone then, and no later flush proves anything.
final class FlushOnce: Sendable {
    private let hasFailed = Atomic(false)

    /// Throws `StorageError`, or `STORAGE_FAILED` where an earlier flush failed.
    func run(_ file: OpenFile, io: IOPool) async throws {
        guard !hasFailed.load(ordering: .acquiring) else {
            throw DriveError(.storageFailed, "The disk failed while the file was flushed; upload it again.")
        }
        do {
            try await io.run { try file.sync() }
        } catch {
            hasFailed.store(true, ordering: .releasing)
            throw error
        }
    }
}
