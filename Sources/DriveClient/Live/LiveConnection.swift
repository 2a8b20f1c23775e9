import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// One connection that events come over. Read by one caller at a time, and not again after a read that failed.
actor LiveConnection {
    /// Three of the server's signs of life, one each 15 s: after so long a silence nobody is there any more.
    static let silence: Duration = .seconds(45)

    private let client: DriveClient
    private var body: HTTPClientResponse.Body.AsyncIterator

    private init(client: DriveClient, response: HTTPClientResponse) {
        self.client = client
        body = response.body.makeAsyncIterator()
    }

    /// Asks for events.
    /// - Throws: as `DriveClient.open`; `.invalidReply` where the answer is no event stream.
    static func open(_ call: HTTPCall, by client: DriveClient) async throws(DriveClientError) -> LiveConnection {
        let response = try await client.within(silence) { () async throws(DriveClientError) in try await client.open(call) }
        let type = response.headers.first(name: "Content-Type")?.split(separator: ";").first ?? ""
        guard response.status == .ok, type.lowercased() == "text/event-stream" else {
            throw .invalidReply("status \(response.status.code) came with \"\(type.prefix(100))\" where events were asked for")
        }
        return LiveConnection(client: client, response: response)
    }

    /// The bytes that come next.
    /// - Throws: `.network` where the stream broke, ended, or was silent for too long; `.cancelled`.
    func read() async throws(DriveClientError) -> [UInt8] {
        let part = try await client.within(Self.silence) { () async throws(DriveClientError) in try await self.nextPart() }
        guard let part else { throw .network("the stream of events ended (\(client.server))") }
        return Array(part.readableBytesView)
    }

    private func nextPart() async throws(DriveClientError) -> ByteBuffer? {
        // A copy: the iterator itself would be locked while it waits.
        var iterator = body
        defer { body = iterator }
        do {
            return try await iterator.next(isolation: self)
        } catch {
            throw Task.isCancelled ? .cancelled : client.failure(of: error)
        }
    }
}

extension DriveClient {
    /// What `work` gives, if it does so in time; otherwise it is cancelled.
    /// - Throws: what `work` throws; `.network` where it was not done in time.
    func within<Value: Sendable>(
        _ limit: Duration, _ work: @escaping @Sendable () async throws(DriveClientError) -> Value
    ) async throws(DriveClientError) -> Value {
        let outcome = await withTaskGroup(of: Result<Value, DriveClientError>?.self) { group in
            group.addTask {
                do throws(DriveClientError) { return .success(try await work()) } catch { return .failure(error) }
            }
            group.addTask { [surroundings] in
                // Cancelled: the other one came first, or the caller wants neither.
                try? await surroundings.sleep(limit)
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
        if let outcome { return try outcome.get() }
        throw Task.isCancelled ? .cancelled : .network("nothing came for \(limit.components.seconds) s (\(server))")
    }
}
