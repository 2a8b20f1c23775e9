import DriveModel
import Synchronization

/// Flushes folders in groups: callers whose entry was made before a flush begins share that one fsync.
public final class DirectorySyncer: Sendable {
    private struct Folder {
        var isSyncing = false
        var waiting: [CheckedContinuation<Void, any Error>] = []
    }

    private let folders = Mutex<[String: Folder]>([:])
    private let pool: IOPool
    private let faults: Faults

    public init(pool: IOPool, faults: Faults) {
        self.pool = pool
        self.faults = faults
    }

    /// Returns after a flush that began after the call. Throws `StorageError` where that flush failed.
    public func sync(_ path: String) async throws {
        try await withCheckedThrowingContinuation { continuation in
            let start = folders.withLock { folders in
                folders[path, default: Folder()].waiting.append(continuation)
                guard folders[path]?.isSyncing == false else { return false }
                folders[path]?.isSyncing = true
                return true
            }
            if start { pool.submit { self.run(path) } }
        }
    }

    private func run(_ path: String) {
        while true {
            let group = folders.withLock { folders in
                let group = folders[path]?.waiting ?? []
                if group.isEmpty { folders[path] = nil } else { folders[path]?.waiting = [] }
                return group
            }
            if group.isEmpty { return }
            let result = Result { try FileSystem.syncFolder(path, faults: faults) }
            for continuation in group { continuation.resume(with: result) }
        }
    }
}
