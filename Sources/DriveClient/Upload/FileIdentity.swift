#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// What tells that a file is still the one it was: another size, time or inode means other content.
struct FileIdentity: Codable, Hashable, Sendable {
    /// Bytes.
    var size: Int64
    /// Nanoseconds since 1970.
    var modified: Int64
    var inode: UInt64
    var device: UInt64

    init(_ status: stat) {
        size = Int64(status.st_size)
        #if canImport(Darwin)
        let time = status.st_mtimespec
        #else
        let time = status.st_mtim
        #endif
        modified = Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
        inode = UInt64(status.st_ino)
        device = UInt64(truncatingIfNeeded: status.st_dev)
    }
}

/// The text of the last failed system call.
func systemErrorText(_ code: Int32 = errno) -> String {
    String(cString: strerror(code))
}

/// An open file descriptor that closes itself.
struct FileDescriptor: ~Copyable {
    let number: Int32

    /// - Throws: `DriveClientError.file`.
    init(path: String, flags: Int32, mode: mode_t = 0) throws(DriveClientError) {
        number = open(path, flags | O_CLOEXEC, mode)
        guard number >= 0 else { throw .file(path: path, reason: systemErrorText()) }
    }

    /// Takes over a descriptor that was just made; negative means that making it failed.
    init(duplicate number: Int32, name: String) throws(DriveClientError) {
        self.number = number
        guard number >= 0 else { throw .file(path: name, reason: systemErrorText()) }
    }

    deinit { if number >= 0 { close(number) } }

    func status() -> stat? {
        var status = stat()
        return fstat(number, &status) == 0 ? status : nil
    }

    /// Whether the whole file is ours alone from now on (`flock`); false where another process has it.
    func lock() -> Bool {
        flock(number, LOCK_EX | LOCK_NB) == 0
    }
}
