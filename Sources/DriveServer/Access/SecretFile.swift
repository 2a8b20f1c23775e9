import DriveModel
import DriveStorage
import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Why a key cannot be used; the sentence is for the operator and never holds the key.
package struct SecretError: Error, Hashable, Sendable, CustomStringConvertible {
    package var message: String
    package var description: String { message }
}

/// A key in a file that its owner alone can read. The calls block: they belong to the start of a process.
enum SecretFile {
    static let keyBytes = 32
    private static let longestFile = 1024

    /// Reads `folder/name`, or makes it from `keyBytes` random bytes where it is missing.
    ///
    /// A new file appears whole or not at all, and where two processes make it at once both get the same key.
    static func loadOrCreate(name: String, folder: String, surroundings: Surroundings) throws(SecretError) -> [UInt8] {
        try prepare(folder: folder)
        let path = folder + "/" + name
        if let bytes = try load(path: path) { return bytes }
        try create(path: path, folder: folder, bytes: surroundings.randomBytes(keyBytes), suffix: surroundings.newIdentifier())
        guard let bytes = try load(path: path) else { throw SecretError(message: "\(path): the new key file disappeared") }
        return bytes
    }

    /// The key in `path`: raw bytes or base64 text; nil where there is no file.
    static func load(path: String) throws(SecretError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 {
            if errno == ENOENT { return nil }
            throw failure("open", path)
        }
        defer { close(descriptor) }
        guard let status = try? FileStatus(descriptor: descriptor) else { throw failure("examine", path) }
        guard status.isFile else { throw SecretError(message: "\(path) is not a file") }
        guard status.permissions & 0o077 == 0 else {
            throw SecretError(
                message:
                    "\(path) has mode \(octal(status.permissions)): others can reach the key. Make a new key, or run: chmod 600 \(path)")
        }
        var bytes = [UInt8](repeating: 0, count: longestFile + 1)
        var length = 0
        while length < bytes.count {
            let count = bytes.withUnsafeMutableBytes { buffer in
                read(descriptor, buffer.baseAddress?.advanced(by: length), buffer.count - length)
            }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure("read", path) }
            if count == 0 { break }
            length += count
        }
        guard let key = key(from: Array(bytes.prefix(length))) else {
            throw SecretError(message: "\(path) does not hold a key of \(keyBytes) bytes")
        }
        return key
    }

    /// The key in `bytes`, which are the key itself or base64 text of it.
    static func key(from bytes: [UInt8]) -> [UInt8]? {
        if bytes.count == keyBytes { return bytes }
        guard bytes.count <= longestFile else { return nil }
        let text = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard let data = Data(base64Encoded: text), data.count == keyBytes else { return nil }
        return [UInt8](data)
    }

    private static func prepare(folder: String) throws(SecretError) {
        let parent = (folder as NSString).deletingLastPathComponent
        do {
            try FileManager.default.createDirectory(atPath: parent.isEmpty ? "." : parent, withIntermediateDirectories: true)
        } catch {
            throw SecretError(message: "\(parent) cannot be made: \(error.localizedDescription)")
        }
        if mkdir(folder, 0o700) == 0 {
            try synchronize(folder: parent.isEmpty ? "." : parent)
        } else if errno != EEXIST {
            throw failure("make", folder)
        }
        guard let status = try? FileStatus(path: folder) else { throw failure("examine", folder) }
        guard status.isFolder else { throw SecretError(message: "\(folder) is not a folder") }
        guard status.permissions & 0o077 == 0 else {
            throw SecretError(
                message: "\(folder) has mode \(octal(status.permissions)): others can reach the keys. Run: chmod 700 \(folder)")
        }
    }

    /// Writes a file beside the final name and links it there: the name never stands for half a key.
    private static func create(path: String, folder: String, bytes: [UInt8], suffix: String) throws(SecretError) {
        let temporary = path + "." + suffix
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("make", temporary) }
        defer { unlink(temporary) }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                write(descriptor, buffer.baseAddress?.advanced(by: written), buffer.count - written)
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                let error = failure("write", temporary)
                close(descriptor)
                throw error
            }
            written += count
        }
        guard fsync(descriptor) == 0 else {
            let error = failure("flush", temporary)
            close(descriptor)
            throw error
        }
        close(descriptor)
        // Another process may have been first: then its key is the one.
        guard link(temporary, path) == 0 || errno == EEXIST else { throw failure("make", path) }
        try synchronize(folder: folder)
    }

    private static func synchronize(folder: String) throws(SecretError) {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", folder) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("flush", folder) }
    }

    private static func failure(_ verb: String, _ path: String) -> SecretError {
        SecretError(message: "cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }

    private static func octal(_ mode: UInt32) -> String {
        "0" + String(mode & 0o7777, radix: 8)
    }
}
