import DriveModel
import Foundation
import Testing

/// Holds a server that was started again to what the clients of streams were promised, and finishes what they left.
struct CrashStreamAudit: Sendable {
    let client: TestClient
    let port: Int
    let state: CrashLedger.State

    struct Findings: Sendable {
        var failures: [String] = []
        /// Uploads that went on where they were, and their bytes that were not sent again.
        var resumed = 0
        var keptBytes = 0
        /// Tasks that clients know of.
        var known: Set<String> = []
        /// How many files there must be by a name; a name that is missing may have one or none.
        fileprivate var files: [String: Int] = [:]
    }

    private var tus: TusClient { TusClient(port: port, drive: client) }
    private var scene: ResumableScene { ResumableScene(port: port, client: client, version: "8") }

    func run() async throws -> Findings {
        var findings = Findings()
        for stream in state.streams.values {
            if let failure = try await finish(stream, &findings) {
                findings.failures.append("\(stream.name): \(failure) (\(stream.promise))")
            }
        }
        for join in state.joins.values {
            if let failure = try await finish(join, &findings) { findings.failures.append("\(join.name): \(failure)") }
        }
        findings.failures += try await wrongFiles(findings.files)
        return findings
    }

    /// Each name has its one file, with the bytes that were sent.
    private func wrongFiles(_ expected: [String: Int]) async throws -> [String] {
        var files: [CloudFile] = []
        while true {
            let page: [CloudFile] = try await client.get("/files/me?limit=500&offset=\(files.count)").decode()
            files += page
            if page.count < 500 { break }
        }
        let byName = Dictionary(grouping: files, by: \.name)
        let sent = state.streams.mapValues { (bytes: $0.bytes, isPart: $0.isPart) }
            .merging(state.joins.mapValues { (bytes: $0.bytes, isPart: false) }) { first, _ in first }
        return sent.flatMap { name, stream -> [String] in
            let found = byName[name] ?? []
            let limits = stream.isPart ? 0...0 : expected[name].map { $0...$0 } ?? 0...1
            var wrong = limits.contains(found.count) ? [] : ["\(name) is there \(found.count) times as a file, not \(limits)"]
            if !found.isEmpty {
                let hash = sha256(stream.bytes)
                for file in found where file.hash != hash || file.size != Int64(stream.bytes.count) {
                    wrong.append("\(name) has \(file.size) bytes with the hash \(file.hash), not \(stream.bytes.count) with \(hash)")
                }
            }
            return wrong
        }
    }

    // MARK: Uploads

    private func finish(_ stream: CrashStream, _ findings: inout Findings) async throws -> String? {
        guard let path = stream.path, let taskId = stream.taskId else {
            // Nobody can ask for it; but what was answered as complete is a file.
            if stream.isCompleted { findings.files[stream.name] = 1 }
            return nil
        }
        findings.known.insert(taskId)
        let head = try await ask(path, of: stream.face)
        if [404, 410].contains(head.status), stream.endAsked {
            findings.files[stream.name] = 0
            return nil
        }
        if stream.isEnded { return "an ended upload is back: \(head)" }
        guard head.status == (stream.face == .tus ? 200 : 204), let offset = head.offset else {
            return "an acknowledged upload is lost: \(head) \(head.headers)"
        }
        guard stream.allows(offset) else { return "HEAD gives the offset \(offset)" }
        findings.resumed += stream.isCompleted ? 0 : 1
        findings.keptBytes += stream.isCompleted ? 0 : offset
        let failure: String?
        switch stream.face {
        case .tus: failure = try await finishTus(stream, path, head, at: offset)
        case .resumable: failure = try await finishResumable(stream, path, head, at: offset)
        }
        if failure == nil, !stream.isPart { findings.files[stream.name] = 1 }
        return failure
    }

    private func ask(_ path: String, of face: CrashStream.Face) async throws -> Reply {
        switch face {
        case .tus: return try await tus.send("HEAD", path)
        case .resumable:
            guard let reply = try await scene.exchange("HEAD", path).final else { throw CommandFailed(description: "no answer to HEAD") }
            return reply
        }
    }

    private func finishTus(_ stream: CrashStream, _ path: String, _ head: Reply, at offset: Int) async throws -> String? {
        let isDeferred = head.header("Upload-Defer-Length") != nil
        if !isDeferred, offset == stream.bytes.count { return nil }
        let fields = TusClient.patchFields(offset) + (isDeferred ? ["Upload-Length: \(stream.bytes.count)"] : [])
        let reply = try await tus.send("PATCH", path, fields, body: Array(stream.bytes[offset...]))
        guard reply.status == 204, reply.offset == stream.bytes.count else {
            return "PATCH at \(offset) after the restart: \(reply) \(reply.headers)"
        }
        return nil
    }

    private func finishResumable(_ stream: CrashStream, _ path: String, _ head: Reply, at offset: Int) async throws -> String? {
        if scene.completeness(of: head) == true { return offset == stream.bytes.count ? nil : "complete with \(offset) bytes" }
        if stream.isCompleted { return "it is not complete any more: \(head.headers)" }
        let exchange = try await scene.patch(path, at: offset, true, Array(stream.bytes[offset...]))
        guard let status = exchange.status, [200, 201].contains(status) else {
            return "append at \(offset) after the restart: \(exchange)"
        }
        return nil
    }

    // MARK: Concatenations

    private func finish(_ join: CrashJoin, _ findings: inout Findings) async throws -> String? {
        let paths = join.parts.compactMap { state.streams[$0]?.path }
        var path = join.path
        if path == nil {
            // Without all parts it was never asked for; else the client asks again, and gets the same one where the first was made.
            guard paths.count == join.parts.count else {
                findings.files[join.name] = 0
                return try await end(paths)
            }
            let reply = try await tus.send("POST", tus.endpoint, CrashTusClient.joining(paths, name: join.name))
            guard reply.status == 201, let location = reply.header("Location") else {
                return "a concatenation after the restart: \(reply)"
            }
            path = URLComponents(string: location)?.path
        }
        guard let path else { return "a concatenation without a target" }
        findings.known.insert((path as NSString).lastPathComponent)
        findings.files[join.name] = 1
        let first = try await tus.send("HEAD", path)
        if join.isCompleted, first.offset != join.bytes.count { return "a final upload lost its end: \(first) \(first.headers)" }
        var last = first
        do {
            try await eventually(within: .seconds(20), "the concatenation", every: .milliseconds(10)) {
                last = try await tus.send("HEAD", path)
                return last.status != 200 || last.offset != nil
            }
        } catch let error as TimedOut {
            return "\(error): \(last.headers)"
        }
        guard last.status == 200, last.offset == join.bytes.count else { return "the final upload: \(last) \(last.headers)" }
        return nil
    }

    /// Parts that no final upload will take.
    private func end(_ parts: [String]) async throws -> String? {
        for part in parts {
            let reply = try await tus.send("DELETE", part)
            guard reply.status == 204 else { return "a part cannot be ended: \(reply)" }
        }
        return nil
    }
}
