#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif
import DriveCrypto
import DriveModel
import Foundation

/// Keeps the journals of uploads, one small file each, in a folder of the user's own.
actor JournalStore {
    private nonisolated let executor = BlockingExecutor(label: "drive.upload.journal")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    nonisolated let directory: String
    private var locks: [String: JournalLock] = [:]

    init(directory: String) {
        self.directory = directory
    }

    /// `drive/uploads` in `XDG_STATE_HOME`, or in `~/.local/state`.
    static func defaultDirectory(environment: [String: String]) -> String {
        if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") { return state + "/drive/uploads" }
        let home = environment["HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? NSHomeDirectory()
        return home + "/.local/state/drive/uploads"
    }

    private func path(_ name: String) -> String { "\(directory)/\(name).json" }

    /// Makes the upload this process's own until `unlock`.
    /// - Throws: `.busy` where another process, or another upload of this one, has it.
    func lock(_ name: String, for file: String) throws(DriveClientError) {
        guard locks[name] == nil else { throw .busy(path: file) }
        do {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw .file(path: directory, reason: error.localizedDescription)
        }
        guard let lock = try JournalLock(path: "\(directory)/\(name).lock") else { throw .busy(path: file) }
        locks[name] = lock
    }

    func unlock(_ name: String) {
        locks[name] = nil
    }

    /// The journal of that name; nil where there is none or it cannot be read.
    func load(_ name: String) -> UploadJournal? {
        guard let data = FileManager.default.contents(atPath: path(name)),
            let journal = try? DriveJSON.plainDecoder().decode(UploadJournal.self, from: data), journal.version == 1
        else { return nil }
        return journal
    }

    /// Replaces the journal in one step, readable for the user alone.
    func save(_ journal: UploadJournal, as name: String) throws(DriveClientError) {
        let temporary = path(name) + ".new"
        let data: Data
        do { data = try DriveJSON.encoder().encode(journal) } catch {
            throw .file(path: temporary, reason: String(describing: error))
        }
        let file = try FileDescriptor(path: temporary, flags: O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        let written = data.withUnsafeBytes { write(file.number, $0.baseAddress, $0.count) }
        guard written == data.count, fsync(file.number) == 0, rename(temporary, path(name)) == 0 else {
            throw .file(path: path(name), reason: systemErrorText())
        }
    }

    func remove(_ name: String) {
        unlink(path(name))
    }

    /// Forgets the upload with this task id, wherever its journal is.
    func remove(taskId: String) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        for file in names where file.hasSuffix(".json") {
            let name = String(file.dropLast(5))
            if load(name)?.taskId == taskId { remove(name) }
        }
    }
}

/// A lock file, held by `flock` and removed when it is let go.
private final class JournalLock {
    private let path: String
    private let file: FileDescriptor

    /// nil where somebody else holds it.
    init?(path: String) throws(DriveClientError) {
        self.path = path
        file = try FileDescriptor(path: path, flags: O_RDWR | O_CREAT, mode: 0o600)
        guard file.lock() else { return nil }
        // The last holder removes the file: a lock on one that has no name any more excludes nobody.
        var named = stat()
        guard let opened = file.status(), stat(path, &named) == 0, named.st_ino == opened.st_ino else { return nil }
    }

    deinit {
        // Only the holder may: after a failed `init` the file is somebody else's, and `deinit` runs then too.
        if held { unlink(path) }
    }

    private var held: Bool {
        var named = stat()
        guard let opened = file.status(), stat(path, &named) == 0 else { return false }
        return named.st_ino == opened.st_ino && file.lock()
    }
}

/// A name for a file out of any text.
func hashedName(_ text: String) -> String {
    var hasher = SHA256Stream()
    Array(text.utf8).withUnsafeBytes { hasher.update($0) }
    return String(hasher.hexDigest().prefix(32))
}
