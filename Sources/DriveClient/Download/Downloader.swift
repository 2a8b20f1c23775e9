import AsyncHTTPClient
import DriveModel
import NIOCore
import NIOHTTP1

/// Fetches files whole: goes on where an earlier attempt stopped, and verifies the SHA-256 before the file gets its name.
public struct Downloader: Sendable {
    public enum Target: Hashable, Sendable {
        /// A path; bytes gather in the path with `.part` at its end.
        case file(path: String, replacing: Bool)
        /// An open descriptor, such as standard output. Bytes pass before they are verified.
        case descriptor(Int32)
    }

    private let client: DriveClient
    private let retry: RetryPolicy

    public init(client: DriveClient, retry: RetryPolicy = RetryPolicy()) {
        self.client = client
        self.retry = retry
    }

    /// - Parameters:
    ///   - file: as `info` gave it.
    ///   - report: hears progress and, where an attempt failed, the error and the wait until the next.
    /// - Throws: `.contentMismatch` where the bytes are not those of `file.hash`; then no file has the name.
    public func download(
        _ file: CloudFile, to target: Target, report: @escaping @Sendable (UploadUpdate) -> Void = { _ in }
    ) async throws(DriveClientError) {
        let tracker = ProgressTracker(total: file.size, now: client.surroundings.monotonic, report: report)
        switch target {
        case .descriptor(let descriptor):
            let part = try PartFile(stream: descriptor)
            try await fetch(file, part, tracker)
            try await verify(file, part)
        case .file(let path, let replacing):
            if !replacing, PartFile.exists(path) { throw .fileExists(path: path) }
            let part = try PartFile(path: path + ".part")
            while try await part.adopt(limit: file.size) {}
            let resumed = await part.count
            if resumed > 0 { tracker.resumed(bytes: resumed) }
            tracker.status(.uploading)
            try await fetch(file, part, tracker)
            if resumed > 0, await part.digest != file.hash {
                // The part was the beginning of something else: once more, all of it.
                try await part.restart()
                try await fetch(file, part, tracker)
            }
            do {
                try await verify(file, part)
            } catch {
                await part.discard()
                throw error
            }
            try await part.publish(as: path, replacing: replacing)
        }
    }

    private func verify(_ file: CloudFile, _ part: PartFile) async throws(DriveClientError) {
        let actual = await part.digest
        guard actual == file.hash else { throw .contentMismatch(fileId: file.id, expected: file.hash, actual: actual) }
    }

    /// Fetches until the part has all bytes, beginning again where the connection broke. Bytes that came end a row of failures.
    private func fetch(_ file: CloudFile, _ part: PartFile, _ tracker: ProgressTracker) async throws(DriveClientError) {
        var backoff = Backoff(retry)
        while await part.count < file.size {
            let before = await part.count
            let failure: DriveClientError
            do {
                try await fetchOnce(file, part, tracker)
                if await part.count >= file.size { return }
                failure = .network("the connection ended early")
            } catch {
                failure = error
            }
            guard let repetition = ReplyMeaning(of: failure).repetition else { throw failure }
            if await part.count > before { backoff.succeeded() }
            let now = client.surroundings.monotonic()
            guard let delay = backoff.delay(afterFailureAt: now, retryAfter: repetition.after, jitter: client.surroundings.jitter()) else {
                throw backoff.end(after: failure, at: now)
            }
            tracker.status(.retrying(failure, in: delay))
            do { try await client.surroundings.sleep(delay) } catch { throw .cancelled }
            tracker.status(.uploading)
        }
    }

    private func fetchOnce(_ file: CloudFile, _ part: PartFile, _ tracker: ProgressTracker) async throws(DriveClientError) {
        let offset = await part.count
        var call = HTTPCall(.GET, DriveClient.files + [file.id])
        if offset > 0 {
            // With If-Range another content comes from its start, with 200 (RFC 9110, section 13.1.5).
            call.headers = [("Range", "bytes=\(offset)-"), ("If-Range", "\"\(file.hash)\"")]
        }
        let response = try await client.open(call)
        if offset > 0, response.status == .ok { try await part.restart() }
        if response.status == .partialContent,
            response.headers.first(name: "Content-Range")?.hasPrefix("bytes \(offset)-") != true
        {
            throw .invalidReply("the range that came is not the one asked for")
        }
        do {
            for try await buffer in response.body {
                guard await part.count + Int64(buffer.readableBytes) <= file.size else {
                    throw DriveClientError.invalidReply("more bytes came than the file has")
                }
                try await part.append(buffer)
                tracker.corrected(storedBytes: await part.count)
            }
        } catch let error as DriveClientError {
            throw error
        } catch {
            throw Task.isCancelled ? .cancelled : .network("the connection broke: \(error)")
        }
    }
}

extension Downloader {
    /// A name for a file in a folder of this machine, out of the name its owner gave it: never a path, never hidden.
    public static func localName(for name: String) -> String {
        let last = name.split(whereSeparator: { $0 == "/" || $0 == "\\" || $0 == "\0" }).last.map(String.init) ?? ""
        let shown = last.drop(while: { $0 == "." })
        return shown.isEmpty ? "download" : String(shown)
    }
}
