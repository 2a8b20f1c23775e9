import DriveCrypto
import DriveDatabase
import DriveModel
import DriveStorage
import DriveTasks
import Foundation
import Logging
import Synchronization

/// Brings the bytes of blobs into another pool, in steps: copy, flush, read back, flush the folder. No row points to them
/// before the caller's transaction says so, and nothing is taken away here: whatever is left over has an intent's row, by
/// which housekeeping finds it.
///
/// An attempt that comes after a killed one goes on with its copy, even where that one is not quite dead: both write the
/// same bytes to the same places, and the copy counts only once it was read back as a whole.
struct BlobMover: Sendable {
    /// A copy under way, as the task's checkpoint keeps it.
    struct Copy: Codable, Hashable, Sendable {
        var path: String
        var poolId: UUID
        var checksum: String
        /// Bytes that were flushed.
        var offset: Int64
    }

    /// What the copy asks of its task.
    struct Steps: Sendable {
        /// What the last attempt left.
        var resuming: Copy?
        /// The task's checkpoint with this copy in it.
        var checkpoint: @Sendable (Copy?) throws -> JSONValue
        /// Told how far it is, in bytes up to the blob's size: half of them by being copied, half by being read back.
        var report: @Sendable (Int64) -> Void
    }

    let tools: FileTaskTools
    /// Bytes this attempt has read and found right already, so that a thousand files of one content cost one look.
    private let sound = SoundBlobs()

    init(_ tools: FileTaskTools) {
        self.tools = tools
    }

    /// Returns how `target` has the blob's bytes. Throws `ItemFailure` where they are damaged, `StaleLook` where the blob has
    /// gone meanwhile, `TaskInterruption`, and storage's errors as `DriveError`.
    func bring(_ blob: BlobRow, to target: PoolDirectory.Opened, for task: any TaskContext, steps: Steps) async throws -> BlobArrival {
        let present = try await tools.database.read { sql in try BlobRow.find(blob.checksum, pool: target.pool.id, in: sql) }
        if let present, try await isSound(present, in: target.store, for: task, steps: steps) { return .present(path: present.path) }
        let source: OpenFile
        do {
            source = try await tools.pools.open(blob.poolId).store.open(blob.path)
        } catch let error as DriveError where error.code == .notFound {
            throw ItemFailure(error)
        } catch let error as StorageError {
            throw try await blame(blob, for: task, after: error)
        }
        let (copy, file) = try await begin(blob, in: target, for: task, steps: steps)
        do {
            try await write(copy, of: blob, from: source, to: file, for: task, steps: steps)
        } catch let error as StorageError where error.call == "copy_file_range" && !error.isFull {
            throw try await blame(blob, for: task, after: error)
        } catch let error as StorageError {
            if error.call == "fdatasync" || error.call == "fsync" { try await drop(for: task, steps: steps) }
            throw error.asDriveError
        }
        let digest = try await tools.storing {
            try await self.digest(of: file, size: blob.size, for: task) { steps.report(blob.size / 2 + $0 / 2) }
        }
        guard digest.hexDigest() == blob.checksum, try file.size() == blob.size else {
            try await drop(for: task, steps: steps)
            throw try await blame(blob, for: task, after: .wrongChecksum)
        }
        try await tools.storing { try await target.store.syncFolder(of: copy.path) }
        sound.add(copy.path)
        return .copied(path: copy.path, crc32c: digest.crc32c, replacing: present?.path)
    }

    /// The last attempt's copy where it is still the task's, or a new one, noted before its file exists.
    private func begin(
        _ blob: BlobRow, in target: PoolDirectory.Opened, for task: any TaskContext, steps: Steps
    ) async throws -> (Copy, OpenFile) {
        let taskId = task.taskId
        if var copy = steps.resuming, copy.poolId == target.pool.id, copy.checksum == blob.checksum {
            let path = copy.path
            let isOwn = try await tools.database.read { sql in
                try sql.first(
                    "SELECT task_id FROM blob_intents WHERE pool_id = $1 AND storage_path = $2 AND task_id = $3",
                    [.uuid(target.pool.id), .text(path), .text(taskId)]) != nil
            }
            if isOwn {
                let (file, isNew) = try await tools.storing { try await target.store.openCopy(path, size: blob.size) }
                if isNew { copy.offset = 0 }
                return (copy, file)
            }
        }
        let path = try await tools.storing { try await target.store.newBlobPath() }
        let copy = Copy(path: path, poolId: target.pool.id, checksum: blob.checksum, offset: 0)
        let now = tools.surroundings.now()
        try await task.commit(checkpoint: steps.checkpoint(copy), progress: nil, message: nil) { sql in
            try BlobIntent.release(of: taskId, in: sql)
            try BlobIntent.note(path, pool: copy.poolId, task: taskId, now: now, in: sql)
        }
        return (copy, try await tools.storing { try await target.store.openCopy(path, size: blob.size).file })
    }

    /// Copies what is missing. Throws `StorageError`; that of "copy_file_range" where the source may be to blame.
    private func write(
        _ copy: Copy, of blob: BlobRow, from source: OpenFile, to file: OpenFile, for task: any TaskContext, steps: Steps
    ) async throws {
        var copy = copy
        var offset = copy.offset
        while offset < blob.size {
            try task.checkInterruption()
            let step = offset..<min(offset + tools.copyStep, blob.size)
            let copied = try await tools.io.run {
                let copied = try file.copy(step, of: source, to: step.lowerBound)
                file.startWriteback(offset: step.lowerBound, length: copied)
                return copied
            }
            // The source ended too early.
            guard copied == step.upperBound - step.lowerBound else {
                throw StorageError("copy_file_range", StorageError.wrongChecksum.errno)
            }
            offset = step.upperBound
            steps.report(offset / 2)
            if offset - copy.offset >= tools.keepEvery, offset < blob.size {
                try await tools.io.run { try file.sync() }
                copy.offset = offset
                try await task.save(steps.checkpoint(copy))
            }
        }
        try await tools.io.run { try file.sync() }
    }

    /// Leaves the copy to housekeeping, as a transaction that only the attempt with the lease can make: another attempt may
    /// be writing to it.
    private func drop(for task: any TaskContext, steps: Steps) async throws {
        let taskId = task.taskId
        try await task.commit(checkpoint: steps.checkpoint(nil), progress: nil, message: nil) { sql in
            try BlobIntent.release(of: taskId, in: sql)
        }
    }

    /// Reads the source after its copy went wrong. Returns whom to blame: its damaged bytes, or the disks for the moment.
    private func blame(_ blob: BlobRow, for task: any TaskContext, after error: StorageError) async throws -> any Error {
        let current = try await tools.database.read { sql in try BlobRow.find(blob.checksum, pool: blob.poolId, in: sql) }
        guard current?.path == blob.path else { return StaleLook() }
        tools.logger.error("a blob could not be copied", metadata: ["path": "\(blob.path)", "error": "\(error)"])
        let store = try await tools.pools.open(blob.poolId).store
        do {
            if try await matches(blob, in: store, for: task, report: { _ in }) {
                return DriveError(
                    .storageFailed, "A copy did not read back as it was written, or was refused; it is made anew.", retryAfter: 5)
            }
        } catch let error as StorageError {
            return error.asDriveError
        }
        return ItemFailure(
            DriveError(
                .blobDamaged, "The stored bytes of this file cannot be read whole; they were left where they are.",
                details: ["reason": .string(error.call)]),
            damaged: blob)
    }

    private func isSound(_ blob: BlobRow, in store: LocalPool, for task: any TaskContext, steps: Steps) async throws -> Bool {
        if blob.isMarkedDamaged { return false }
        if sound.contains(blob.path) { return true }
        let isSound = try await tools.storing {
            try await self.matches(blob, in: store, for: task) { steps.report($0 / 2) }
        }
        if isSound { sound.add(blob.path) }
        return isSound
    }

    /// Whether the stored bytes are those of the row; false also where they are missing or cannot be read.
    private func matches(
        _ blob: BlobRow, in store: LocalPool, for task: any TaskContext, report: @escaping @Sendable (Int64) -> Void
    ) async throws -> Bool {
        do {
            let file = try await store.open(blob.path)
            guard try file.size() == blob.size else { return false }
            return try await digest(of: file, size: blob.size, for: task, report: report).hexDigest() == blob.checksum
        } catch let error as StorageError where error.isMissing || error.call == "pread" {
            return false
        }
    }

    private func digest(
        of file: OpenFile, size: Int64, for task: any TaskContext, report: @escaping @Sendable (Int64) -> Void
    ) async throws -> FileDigest {
        let digest = try await RangeHasher.hash(file, range: 0..<size, continuing: FileDigest(), io: tools.io) { position, _ in
            report(position)
            do {
                try task.checkInterruption()
                return true
            } catch {
                return false
            }
        }
        if let digest { return digest }
        try task.checkInterruption()
        throw TaskInterruption.stopped
    }
}

/// Paths of blobs whose bytes were found right. Paths are never used again, so that one set serves all pools.
private final class SoundBlobs: Sendable {
    private static let capacity = 10_000
    private let paths = Mutex<Set<String>>([])

    func contains(_ path: String) -> Bool { paths.withLock { $0.contains(path) } }

    func add(_ path: String) {
        paths.withLock { paths in
            if paths.count >= Self.capacity { paths.removeAll() }
            paths.insert(path)
        }
    }
}
