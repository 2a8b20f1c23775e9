import DriveModel
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A pool on a local disk: `staging/` holds what is being uploaded, `blobs/` what was published.
///
/// A blob's path is made of random letters and never used again, so that collection and publication cannot race.
/// Blobs made after one another share a folder, so that concurrent publications share its fsync.
public final class LocalPool: BlobStore {
    /// Blobs per folder; beyond it a new one begins.
    static let folderCapacity = 2000

    struct Folder {
        var name: String
        var count: Int
    }

    private let root: String
    private let stagingRoot: String
    private let io: IOPool
    let syncer: DirectorySyncer
    let faults: Faults
    private let surroundings: Surroundings
    private let directFrom: Int64
    let folder = Mutex<Folder?>(nil)
    private let lock: OpenFile

    /// Opens the pool's folder, which this process then owns.
    ///
    /// - Parameters:
    ///   - root: the pool's folder; made where it is missing.
    ///   - identity: written into the folder of a new pool, and found there ever after: an empty mount point is not
    ///     taken for a pool whose files are gone. A missing one throws `StorageError("pool", ENOENT)`.
    ///   - isNew: whether the folder becomes this pool's now.
    ///   - exclusive: false for a look beside the process that owns the folder.
    ///   - staging: a folder on the same file system for unfinished uploads; nil for one inside `root`.
    ///   - directFrom: bytes from which an upload's file is written around the page cache.
    /// - Throws: `StorageError`; `StorageError("flock", EWOULDBLOCK)` where another process owns the folder;
    ///   `StorageError("rename", EXDEV)` where `staging` lies on another file system.
    public init(
        root: String, identity: String, isNew: Bool, staging: String?, io: IOPool, faults: Faults, surroundings: Surroundings,
        directFrom: Int64 = .max, exclusive: Bool = true
    ) throws(StorageError) {
        self.root = root
        self.stagingRoot = staging ?? root + "/staging"
        self.io = io
        self.faults = faults
        self.surroundings = surroundings
        self.directFrom = directFrom
        syncer = DirectorySyncer(pool: io, faults: faults)
        try Self.identify(root: root, identity: identity, isNew: isNew)
        for path in [root, root + "/blobs", stagingRoot] { try FileSystem.makeFolder(path) }
        guard try FileSystem.device(of: root) == FileSystem.device(of: stagingRoot) else { throw StorageError("rename", EXDEV) }
        try FileSystem.syncFolder(root)
        lock = try OpenFile(path: root + "/lock", flags: O_RDWR | O_CREAT)
        guard !exclusive || flock(lock.descriptor, LOCK_EX | LOCK_NB) == 0 else { throw StorageError("flock", errno) }
    }

    private static func identify(root: String, identity: String, isNew: Bool) throws(StorageError) {
        let marker = root + "/pool-" + identity
        if isNew {
            try FileSystem.makeFolder(root)
            try OpenFile(path: marker, flags: O_RDWR | O_CREAT).sync()
            try FileSystem.syncFolder(root)
        } else {
            do {
                _ = try OpenFile(path: marker, flags: O_RDONLY)
            } catch {
                throw StorageError("pool", error.errno)
            }
        }
    }

    // MARK: Staging

    private func stagingPath(_ name: String) -> String { stagingRoot + "/" + name }

    func stagingLocation(_ name: String) -> String { stagingPath(name) }
    func blobLocation(_ path: String) -> String { root + "/" + path }
    func run<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result { try await io.run(work) }

    /// Makes a staging file with room for `size` bytes, so that a full disk shows here.
    ///
    /// - Parameter keepSize: the file grows by its bytes alone, so that its size tells how far they came.
    public func createStaging(_ name: String, size: Int64, keepSize: Bool) async throws -> OpenFile {
        let path = stagingPath(name)
        return try await io.run { [faults, directFrom] in
            let file = try OpenFile(
                path: path, flags: O_RDWR | O_CREAT | O_EXCL, faults: faults, bypassingCache: size >= directFrom)
            do {
                try file.preallocate(size, keepSize: keepSize)
            } catch {
                try FileSystem.remove(path)
                throw error
            }
            return file
        }
    }

    /// Opens a staging file; nil where it is missing.
    ///
    /// - Parameter size: bytes it will have; it may have fewer now.
    public func openStaging(_ name: String, size: Int64 = 0) async throws -> OpenFile? {
        let path = stagingPath(name)
        return try await io.run { [faults, directFrom] in
            do {
                let isLarge = max(size, try FileStatus(path: path).size) >= directFrom
                return try OpenFile(path: path, flags: O_RDWR, faults: faults, bypassingCache: isLarge)
            } catch let error as StorageError where error.isMissing {
                return nil
            }
        }
    }

    /// Flushes the names of the staging files.
    public func syncStaging() async throws {
        try await syncer.sync(stagingRoot)
    }

    public func removeStaging(_ name: String) async throws {
        let path = stagingPath(name)
        try await io.run { try FileSystem.remove(path) }
    }

    /// Names of all staging files.
    public func listStaging() async throws -> [String] {
        let path = stagingRoot
        return try await io.run {
            try FileSystem.list(path).filter { Self.isIdentifier($0) && (try? FileStatus(path: path + "/" + $0).isFile) == true }
        }
    }

    /// Whether a name is one that Drive gives out; what else lies in the folder is somebody else's.
    private static func isIdentifier(_ name: String) -> Bool {
        name.utf8.count == 22 && name.utf8.allSatisfy { (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) }
    }

    // MARK: Blobs

    /// A path no blob had before, relative to the pool; its folder exists durably.
    public func newBlobPath() async throws -> String {
        let current: String? = folder.withLock { folder in
            guard let name = folder?.name, let count = folder?.count, count < Self.folderCapacity else { return nil }
            folder?.count += 1
            return name
        }
        if let current { return "blobs/\(current)/\(surroundings.newIdentifier())" }
        let name = String(surroundings.newIdentifier().prefix(8))
        let path = root + "/blobs/" + name
        try await io.run { [faults, root] in
            try FileSystem.makeFolder(path)
            try FileSystem.syncFolder(root + "/blobs", faults: faults)
        }
        folder.withLock { $0 = Folder(name: name, count: 1) }
        return "blobs/\(name)/\(surroundings.newIdentifier())"
    }

    /// Moves a staging file, whose data is flushed, to a blob's path, and flushes the folder.
    public func publish(staging name: String, as blobPath: String) async throws {
        let from = stagingPath(name)
        let to = root + "/" + blobPath
        let folder = String(to[..<(to.lastIndex(of: "/") ?? to.endIndex)])
        try await io.run { [faults] in
            do {
                try FileSystem.rename(from, to: to, faults: faults)
            } catch let error as StorageError where error.isMissing {
                // Housekeeping took the folder while it was empty.
                try FileSystem.makeFolder(folder)
                try FileSystem.syncFolder(String(folder[..<(folder.lastIndex(of: "/") ?? folder.endIndex)]), faults: faults)
                try FileSystem.rename(from, to: to, faults: faults)
            }
        }
        do {
            try await syncer.sync(folder)
        } catch {
            // No second flush of this folder is believed: later blobs go to another one.
            self.folder.withLock { $0 = nil }
            throw error
        }
    }

    public func open(_ path: String) async throws -> OpenFile {
        let full = root + "/" + path
        return try await io.run { [faults] in try OpenFile(path: full, flags: O_RDONLY, faults: faults) }
    }

    public func remove(_ path: String) async throws {
        let full = root + "/" + path
        try await io.run { try FileSystem.remove(full) }
    }

    public func list() async throws -> [String] {
        let root = root
        return try await io.run {
            try FileSystem.list(root + "/blobs").filter { (try? FileStatus(path: root + "/blobs/" + $0).isFolder) == true }.flatMap {
                folder in
                try FileSystem.list(root + "/blobs/" + folder).map { "blobs/\(folder)/\($0)" }
            }
        }
    }

    public func freeBytes() async throws -> Int64 {
        let root = root
        return try await io.run { try FileSystem.freeBytes(at: root) }
    }
}

extension LocalPool {
    /// Moves a blob whose publication did not end back to staging. False where there is none; a staging file that is
    /// there already stays.
    public func unpublish(_ blobPath: String, to name: String) async throws -> Bool {
        let (from, to) = (blobLocation(blobPath), stagingLocation(name))
        return try await run {
            // link(2) and unlink(2) where rename(2) would take the place of a staging file.
            guard link(from, to) == 0 || errno == EEXIST else {
                if errno == ENOENT { return false }
                throw StorageError("link", errno)
            }
            try FileSystem.remove(from)
            try FileSystem.syncFolder(String(to[..<(to.lastIndex(of: "/") ?? to.endIndex)]))
            return true
        }
    }
}
