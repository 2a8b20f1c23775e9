#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// What stat(2) tells of a file.
public struct FileStatus: Sendable {
    /// Permission bits, `0o600` for example.
    public let permissions: UInt32
    public let isFile: Bool
    public let isFolder: Bool
    public let inode: UInt64
    /// Bytes.
    public let size: Int64
    /// Nanoseconds since the Unix epoch.
    public let modifiedNanoseconds: Int64

    /// Of an open file. Throws `StorageError`.
    public init(descriptor: Int32) throws(StorageError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw StorageError("fstat", errno) }
        self.init(status)
    }

    /// Of what a path names. Throws `StorageError`.
    public init(path: String) throws(StorageError) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw StorageError("stat", errno) }
        self.init(status)
    }

    private init(_ status: stat) {
        permissions = UInt32(status.st_mode) & 0o7777
        isFile = status.st_mode & S_IFMT == S_IFREG
        isFolder = status.st_mode & S_IFMT == S_IFDIR
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        #if canImport(Darwin)
        let modified = status.st_mtimespec
        #else
        let modified = status.st_mtim
        #endif
        modifiedNanoseconds = Int64(modified.tv_sec) * 1_000_000_000 + Int64(modified.tv_nsec)
    }
}
