import CDriveSystem
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A second descriptor of an open file, whose writes and reads go around the page cache (O_DIRECT of open(2)).
///
/// Bytes and their place in the file are whole pages. What lies in the cache of the same pages the kernel writes out or
/// drops first, so that both descriptors see one file.
final class DirectDescriptor: Sendable {
    /// Below it the cache is cheaper than a request to the disk.
    static let least = 256 << 10

    private let descriptor: Int32
    private let refused = Atomic(false)

    /// Nil where the file system has no such writes.
    init?(twinOf descriptor: Int32) {
        let result = drive_open_direct(descriptor)
        guard result >= 0 else { return nil }
        self.descriptor = result
    }

    deinit {
        close(descriptor)
    }

    /// False once the file system has refused one: some find only then that they cannot.
    var isUsable: Bool { !refused.load(ordering: .relaxed) }

    /// Which of the bytes are whole pages in memory and in the file; nil where too few are.
    func pages(of bytes: UnsafeRawBufferPointer, at offset: Int64) -> Range<Int>? {
        let page = PieceBuffer.alignment
        let lead = (page - Int(offset % Int64(page))) % page
        guard isUsable, bytes.count >= lead + Self.least, let base = bytes.baseAddress, (Int(bitPattern: base) + lead) % page == 0 else {
            return nil
        }
        return lead..<lead + (bytes.count - lead) / page * page
    }

    /// Writes whole pages; returns how many bytes were written, fewer where the file system left the rest to the cache.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StorageError) -> Int {
        try transfer("pwrite", bytes.count) { pwrite(descriptor, bytes.baseAddress, bytes.count, off_t(offset)) }
    }

    /// Reads whole pages; returns how many bytes were read, fewer at the file's end or where the rest is for the cache.
    func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int64) throws(StorageError) -> Int {
        try transfer("pread", bytes.count) { pread(descriptor, bytes.baseAddress, bytes.count, off_t(offset)) }
    }

    private func transfer(_ name: String, _ count: Int, _ call: () -> Int) throws(StorageError) -> Int {
        while true {
            let result = call()
            if result >= 0 { return result }
            switch errno {
            case EINTR: continue
            case EINVAL, EOPNOTSUPP:
                refused.store(true, ordering: .relaxed)
                return 0
            default: throw StorageError(name, errno)
            }
        }
    }
}
