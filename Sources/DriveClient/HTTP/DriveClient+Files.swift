import DriveModel
import NIOHTTP1

/// One page of a list.
public struct Page<Element: Sendable>: Sendable {
    public var elements: [Element]
    /// How many there are in all (`X-Total`); nil where the server does not say.
    public var total: Int?
}

extension DriveClient {
    static let files = ["api", "files"]

    /// The caller's files.
    /// - Parameters:
    ///   - query: part of a name.
    ///   - sortBy: a field's name as the API documents it.
    public func files(
        offset: Int = 0, limit: Int = 50, query: String? = nil, sortBy: String? = nil, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> Page<CloudFile> {
        let call = HTTPCall(
            .GET, Self.files + ["me"],
            query: [("offset", String(offset)), ("limit", String(limit)), ("query", query), ("sortBy", sortBy)])
        return try await page(call, policy)
    }

    /// What is known about a file.
    public func info(fileId: String, retrying policy: RetryPolicy = .brief) async throws(DriveClientError) -> CloudFile {
        try await send(HTTPCall(.GET, Self.files + [fileId, "info"]), retrying: policy).decode()
    }

    /// Deletes a file.
    public func deleteFile(id: String, retrying policy: RetryPolicy = .brief) async throws(DriveClientError) {
        var attempts = 0
        _ = try await retrying(policy) { () async throws(DriveClientError) in
            attempts += 1
            do throws(DriveClientError) {
                _ = try await self.send(HTTPCall(.DELETE, Self.files + [id]))
            } catch {
                // After a lost reply, 404 says that the earlier attempt did it.
                guard attempts > 1, error.serverReply?.status == 404 else { throw error }
            }
        }
    }

    /// The pools the caller may use.
    public func pools(retrying policy: RetryPolicy = .brief) async throws(DriveClientError) -> [Pool] {
        try await send(HTTPCall(.GET, ["api", "pools"]), retrying: policy).decode()
    }

    func page<Element: Decodable & Sendable>(
        _ call: HTTPCall, _ policy: RetryPolicy
    ) async throws(DriveClientError) -> Page<Element> {
        let reply = try await send(call, retrying: policy)
        return Page(elements: try reply.decode(), total: reply.headers.first(name: "X-Total").flatMap { Int($0) })
    }
}
