#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif
import DriveCrypto
import NIOCore

/// Where a download's bytes go, hashed on the way, on a thread of its own: a `.part` file, or an open descriptor.
actor PartFile {
    private nonisolated let executor = BlockingExecutor(label: "drive.download.writer")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private nonisolated let path: String
    private let file: FileDescriptor
    private let isStream: Bool
    private var hasher = SHA256Stream()

    /// Bytes that are there and hashed.
    var count: Int64 { hasher.byteCount }
    var digest: String { hasher.hexDigest() }

    /// A file that may hold the beginning already.
    /// - Throws: `.busy` where another process writes to it, `.file`.
    init(path: String) throws(DriveClientError) {
        self.path = path
        isStream = false
        file = try FileDescriptor(path: path, flags: O_RDWR | O_CREAT, mode: 0o666)
        guard file.lock() else { throw .busy(path: path) }
    }

    /// A pipe or a terminal: bytes cannot be taken back.
    init(stream descriptor: Int32) throws(DriveClientError) {
        path = "standard output"
        isStream = true
        file = try FileDescriptor(copyOf: descriptor, name: path)
    }

    /// Whether something has that name; asked early, so that nobody waits for a download that cannot be kept.
    nonisolated static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Hashes up to 4 MiB more of what the file held at the start.
    /// - Returns: whether there may be more.
    func adopt(limit: Int64) throws(DriveClientError) -> Bool {
        guard !isStream, let status = file.status() else { return false }
        guard Int64(status.st_size) <= limit else {
            try restart()
            return false
        }
        let wanted = Int(min(4 << 20, Int64(status.st_size) - count))
        guard wanted > 0 else { return false }
        let position = off_t(count)
        var got = -1
        // Written by pread before it is read.
        let bytes = [UInt8](unsafeUninitializedCapacity: wanted) { target, used in
            got = pread(file.number, target.baseAddress, wanted, position)
            used = max(0, got)
        }
        if got < 0 { throw .file(path: path, reason: systemErrorText()) }
        bytes.withUnsafeBytes { hasher.update($0) }
        return got > 0
    }

    /// Writes behind what is there.
    func append(_ buffer: ByteBuffer) throws(DriveClientError) {
        var done = 0
        let start = count
        let failure: Int32 = buffer.withUnsafeReadableBytes { bytes in
            while done < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
                let result =
                    isStream
                    ? write(file.number, rest.baseAddress, rest.count)
                    : pwrite(file.number, rest.baseAddress, rest.count, off_t(start + Int64(done)))
                if result < 0, errno == EINTR { continue }
                if result < 0 { return errno }
                done += result
            }
            hasher.update(bytes)
            return 0
        }
        if failure != 0 { throw .file(path: path, reason: systemErrorText(failure)) }
    }

    /// Forgets all bytes.
    /// - Throws: `.file` for a stream, whose bytes are gone.
    func restart() throws(DriveClientError) {
        guard !isStream, ftruncate(file.number, 0) == 0 else {
            throw .file(path: path, reason: isStream ? "the bytes already written cannot be taken back" : systemErrorText())
        }
        hasher = SHA256Stream()
    }

    /// Makes the bytes durable and gives the file its final name.
    func publish(as final: String, replacing: Bool) throws(DriveClientError) {
        guard !isStream else { return }
        guard fsync(file.number) == 0 else { throw .file(path: path, reason: systemErrorText()) }
        try move(to: final, replacing: replacing)
        let folder = final.lastIndex(of: "/").map { String(final[...$0]) } ?? "."
        let directory = try FileDescriptor(path: folder, flags: O_RDONLY)
        // Some file systems cannot sync a folder; the file itself is safe.
        _ = fsync(directory.number)
    }

    private func move(to final: String, replacing: Bool) throws(DriveClientError) {
        if !replacing {
            // `link` fails where the name is taken, which `rename` would not.
            if link(path, final) == 0 {
                unlink(path)
                return
            }
            if errno == EEXIST { throw .fileExists(path: final) }
            // A file system without hard links: the best that is left.
            if access(final, F_OK) == 0 { throw .fileExists(path: final) }
        }
        guard rename(path, final) == 0 else { throw .file(path: final, reason: systemErrorText()) }
    }

    /// Removes the file.
    func discard() {
        if !isStream { unlink(path) }
    }
}

extension FileDescriptor {
    /// A descriptor of our own for an open one.
    init(copyOf descriptor: Int32, name: String) throws(DriveClientError) {
        try self.init(duplicate: fcntl(descriptor, F_DUPFD_CLOEXEC, 0), name: name)
    }
}
