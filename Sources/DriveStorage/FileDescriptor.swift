import CDriveSystem
import DriveModel

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// An open file that closes with its last reference, so that no write can meet a descriptor used again for another file.
public final class OpenFile: Sendable {
    let descriptor: Int32
    private let faults: Faults
    private let direct: DirectDescriptor?

    /// Opens a file; `flags` are open(2)'s, `O_CLOEXEC` and `O_NOFOLLOW` are added. A made file has mode 0600.
    ///
    /// - Parameter bypassingCache: writes and reads whole pages around the page cache, where the file system can: a large
    ///   file then costs no copy into the cache and takes no other file's place in it.
    public init(path: String, flags: Int32, faults: Faults = .none, bypassingCache: Bool = false) throws(StorageError) {
        if case .fail(let number) = faults.hit("file.open") { throw StorageError("open", number) }
        var result: Int32
        repeat { result = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600) } while result < 0 && errno == EINTR
        guard result >= 0 else { throw StorageError("open", errno) }
        descriptor = result
        self.faults = faults
        direct = bypassingCache ? DirectDescriptor(twinOf: result) : nil
    }

    /// Whether bytes go around the page cache, so that there is nothing to write back early.
    var bypassesCache: Bool { direct?.isUsable ?? false }

    deinit {
        close(descriptor)
    }

    /// Bytes.
    public func size() throws(StorageError) -> Int64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw StorageError("fstat", errno) }
        return Int64(status.st_size)
    }

    /// Allocates the file's room, so that a full disk shows now.
    public func preallocate(_ length: Int64, keepSize: Bool) throws(StorageError) {
        if case .fail(let number) = faults.hit("staging.preallocate") { throw StorageError("fallocate", number) }
        let result = drive_preallocate(descriptor, length, keepSize ? 1 : 0)
        guard result == 0 else { throw StorageError("fallocate", result) }
    }

    /// Cuts the file off, or fills it up with zeros.
    public func truncate(to length: Int64) throws(StorageError) {
        guard ftruncate(descriptor, off_t(length)) == 0 else { throw StorageError("ftruncate", errno) }
    }

    /// Copies bytes of another file to an offset of this one: by reference where the file system shares extents, else
    /// inside the kernel (copy_file_range(2)). Returns how many were copied, fewer only at the other file's end.
    public func copy(_ range: Range<Int64>, of other: OpenFile, to offset: Int64) throws(StorageError) -> Int64 {
        if case .fail(let number) = faults.hit("staging.copy") { throw StorageError("copy_file_range", number) }
        var copied: Int64 = 0
        let result = drive_copy_range(other.descriptor, range.lowerBound, descriptor, offset, Int64(range.count), &copied)
        guard result == 0 else { throw StorageError("copy_file_range", result) }
        return copied
    }

    /// Writes all bytes at an offset.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StorageError) {
        switch faults.hit("chunk.write.before") {
        case .none: break
        case .fail(let number): throw StorageError("pwrite", number)
        case .shortWrite:
            // Half arrives, as on a disk that fills up, then the error shows.
            _ = pwrite(descriptor, bytes.baseAddress, bytes.count / 2, off_t(offset))
            throw StorageError("pwrite", ENOSPC)
        }
        var done = 0
        if let direct, let pages = direct.pages(of: bytes, at: offset) {
            try writeCached(UnsafeRawBufferPointer(rebasing: bytes[..<pages.lowerBound]), at: offset)
            done = pages.lowerBound
            done += try direct.write(UnsafeRawBufferPointer(rebasing: bytes[pages]), at: offset + Int64(done))
        }
        try writeCached(UnsafeRawBufferPointer(rebasing: bytes[done...]), at: offset + Int64(done))
        _ = faults.hit("chunk.write.after")
    }

    private func writeCached(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StorageError) {
        var done = 0
        while done < bytes.count {
            let count = pwrite(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset) + off_t(done))
            if count < 0 {
                if errno == EINTR { continue }
                throw StorageError("pwrite", errno)
            }
            guard count > 0 else { throw StorageError("pwrite", EIO) }
            done += count
        }
    }

    /// Reads at most `bytes.count` bytes from an offset; fewer only at the file's end.
    public func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int64) throws(StorageError) -> Int {
        var done = 0
        if let direct, let pages = direct.pages(of: UnsafeRawBufferPointer(bytes), at: offset), pages.lowerBound == 0 {
            done = try direct.read(into: UnsafeMutableRawBufferPointer(rebasing: bytes[pages]), at: offset)
        }
        while done < bytes.count {
            let count = pread(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset) + off_t(done))
            if count < 0 {
                if errno == EINTR { continue }
                throw StorageError("pread", errno)
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// Reads what the page cache has of a range's beginning; never waits for the disk, so it may run on an event loop.
    func readCached(into bytes: UnsafeMutableRawBufferPointer, at offset: Int64) -> Int {
        Int(drive_read_cached(descriptor, bytes.baseAddress, bytes.count, offset))
    }

    /// Starts writing a range back to the disk, so that a later `sync` has little left to do. A hint: errors show at `sync`.
    public func startWriteback(offset: Int64, length: Int64) {
        _ = drive_start_writeback(descriptor, offset, length)
    }

    /// Flushes the data to the disk. A failed flush is final: the kernel may have dropped the pages, so a second one
    /// that "works" proves nothing, and the caller gives the file up.
    public func sync() throws(StorageError) {
        if case .fail(let number) = faults.hit("file.fsync.before") { throw StorageError("fsync", number) }
        guard fdatasync(descriptor) == 0 else { throw StorageError("fdatasync", errno) }
        _ = faults.hit("file.fsync.after")
    }
}

/// The few calls on paths. Every path is made of parts that Drive itself chose.
public enum FileSystem {
    /// Makes a folder of mode 0700 and its missing parents, durably. Returns whether it was missing.
    @discardableResult
    public static func makeFolder(_ path: String) throws(StorageError) -> Bool {
        if mkdir(path, 0o700) == 0 {
            try syncFolder(parent(of: path))
            return true
        }
        if errno == EEXIST { return false }
        guard errno == ENOENT, parent(of: path) != path else { throw StorageError("mkdir", errno) }
        try makeFolder(parent(of: path))
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw StorageError("mkdir", errno) }
        try syncFolder(parent(of: path))
        return true
    }

    /// The folder a path lies in.
    public static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Flushes a folder's entries.
    public static func syncFolder(_ path: String, faults: Faults = .none) throws(StorageError) {
        if case .fail(let number) = faults.hit("directory.fsync.before") { throw StorageError("fsync", number) }
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StorageError("open", errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw StorageError("fsync", errno) }
        _ = faults.hit("directory.fsync.after")
    }

    public static func rename(_ from: String, to: String, faults: Faults = .none) throws(StorageError) {
        if case .fail(let number) = faults.hit("blob.rename.before") { throw StorageError("rename", number) }
        guard Glibc_rename(from, to) == 0 else { throw StorageError("rename", errno) }
        _ = faults.hit("blob.rename.after")
    }

    /// Removes a file; a missing one is fine.
    public static func remove(_ path: String) throws(StorageError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw StorageError("unlink", errno) }
    }

    /// Names in a folder; none where it is missing.
    public static func list(_ path: String) throws(StorageError) -> [String] {
        guard let folder = opendir(path) else {
            if errno == ENOENT { return [] }
            throw StorageError("opendir", errno)
        }
        defer { closedir(folder) }
        var names: [String] = []
        errno = 0
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
            errno = 0
        }
        guard errno == 0 else { throw StorageError("readdir", errno) }
        return names
    }

    /// The device a path lies on, to tell file systems apart.
    public static func device(of path: String) throws(StorageError) -> UInt64 {
        var status = stat()
        guard stat(path, &status) == 0 else { throw StorageError("stat", errno) }
        return UInt64(status.st_dev)
    }

    /// Bytes an ordinary user may still write.
    public static func freeBytes(at path: String) throws(StorageError) -> Int64 {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { throw StorageError("statvfs", errno) }
        return Int64(status.f_bavail) * Int64(status.f_frsize)
    }
}

// Inside `FileSystem` the name `rename` is its own.
private func Glibc_rename(_ from: String, _ to: String) -> Int32 {
    rename(from, to)
}
