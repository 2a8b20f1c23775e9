import DriveModel
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

// Blobs that are copied from another pool, in steps, by an attempt that may be killed at any of them.
extension LocalPool {
    /// Opens the file at a blob's path to be written, and makes it with room for `size` bytes where it is missing.
    ///
    /// Reads of it go around the page cache where they can, so that what is read back is what the disk has.
    /// - Returns: the file, and whether it had no bytes: then nothing that an earlier attempt kept is there.
    /// - Throws: `StorageError`, full disks among them.
    public func openCopy(_ blobPath: String, size: Int64) async throws -> (file: OpenFile, isNew: Bool) {
        let path = blobLocation(blobPath)
        return try await run { [faults] in
            func open() throws -> OpenFile {
                try OpenFile(path: path, flags: O_RDWR | O_CREAT, faults: faults, bypassingCache: true)
            }
            let file: OpenFile
            do {
                file = try open()
            } catch let error as StorageError where error.isMissing {
                // Housekeeping took the folder while it was empty.
                try FileSystem.makeFolder(FileSystem.parent(of: path))
                file = try open()
            }
            let isNew = try file.size() == 0
            try file.preallocate(size, keepSize: false)
            return (file, isNew)
        }
    }

    /// Flushes the name of a copy whose data is flushed.
    public func syncFolder(of blobPath: String) async throws {
        do {
            try await syncer.sync(FileSystem.parent(of: blobLocation(blobPath)))
        } catch {
            // No second flush of this folder is believed: later blobs go to another one.
            folder.withLock { $0 = nil }
            throw error
        }
    }
}
