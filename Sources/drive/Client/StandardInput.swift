import Dispatch
import DriveClient
import Foundation

/// Standard input as a file: its length must be known before it is sent, and a failed chunk must be read again.
enum StandardInput {
    /// Copies standard input to a temporary file, on a thread of its own.
    /// - Returns: the file's path; the caller removes it.
    static func spool() async throws(DriveClientError) -> String {
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<String, DriveClientError>, Never>) in
            DispatchQueue.global().async {
                do throws(DriveClientError) { continuation.resume(returning: .success(try copy())) } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }

    private static func copy() throws(DriveClientError) -> String {
        var template = Array((FileManager.default.temporaryDirectory.path + "/drive-stdin-XXXXXX").utf8CString)
        let target = mkstemp(&template)
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard target >= 0 else { throw .file(path: path, reason: String(cString: strerror(errno))) }
        defer { close(target) }
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        while true {
            let count = read(STDIN_FILENO, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count == 0 { return path }
            guard count > 0, write(target, buffer, count) == count else {
                let reason = String(cString: strerror(errno))
                unlink(path)
                throw .file(path: count < 0 ? "standard input" : path, reason: reason)
            }
        }
    }
}
