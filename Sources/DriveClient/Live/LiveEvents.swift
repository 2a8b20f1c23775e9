import DriveModel
import NIOHTTP1

/// An account's events as they happen, for as long as somebody reads: a connection that is lost is made again, and goes on
/// after the last event that came. Each event comes once, in the order of their numbers.
///
/// The server holds back only what is read slowly, and of progress only the newest then; nothing is fetched while nobody
/// waits. It ends where the task that reads is cancelled, and throws only what does not pass: no sign-in (401), no right
/// (403), no such task or no events on this server (404), other refusals, an answer that is not understood (`.invalidReply`),
/// `.gaveUp` where the policy's patience ends.
public struct LiveEvents: AsyncSequence, Sendable {
    public typealias Element = LiveEventMessage
    public typealias Failure = DriveClientError

    let client: DriveClient
    let since: Int64?
    let types: [String]
    let taskIds: [String]
    let policy: RetryPolicy
    /// Told what becomes of the connection.
    var onOutage: (@Sendable (LiveOutage.News) -> Void)?

    /// The server takes so many tasks at once.
    static let maximumTasks = 100

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(self) }

    fileprivate func call(since: Int64?) -> HTTPCall {
        var query: [(String, String?)] = [
            ("since", since.map { String($0) }), ("types", types.isEmpty ? nil : types.joined(separator: ",")),
        ]
        query += taskIds.map { ("task", $0) }
        var call = HTTPCall(.GET, ["api", "events"], query: query)
        call.headers = [("Accept", "text/event-stream"), ("Cache-Control", "no-store")]
        return call
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        public typealias Element = LiveEventMessage
        public typealias Failure = DriveClientError

        private let events: LiveEvents
        private var cursor: LiveCursor
        private var backoff: Backoff
        private var connection: LiveConnection?
        private var parser = ServerSentEventParser()
        /// What came over the connection and was not told yet.
        private var waiting: ArraySlice<ServerSentEvent> = []
        /// Before the next attempt to connect.
        private var delay: Duration?
        /// The wait before the connection that is, or was last.
        private var lastDelay = Duration.zero
        /// When the stream began over this connection; nil before it did.
        private var readySince: Duration?
        private var outage = LiveOutage()
        private var isOver = false

        init(_ events: LiveEvents) {
            self.events = events
            cursor = LiveCursor(since: events.since)
            backoff = Backoff(events.policy)
        }

        /// The next message; nil where the task was cancelled.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws(DriveClientError) -> LiveEventMessage? {
            while let sign = try await nextSign(isolation: actor) {
                if case .message(let message) = sign { return message }
            }
            return nil
        }

        /// What shows that the stream goes on.
        enum Sign: Hashable, Sendable {
            case message(LiveEventMessage)
            /// The server is there, and has nothing to tell.
            case keepAlive
        }

        /// The next message or sign of life; nil where the task was cancelled.
        mutating func nextSign(isolation actor: isolated (any Actor)?) async throws(DriveClientError) -> Sign? {
            while !isOver {
                do throws(DriveClientError) {
                    if let message = try nextWaiting() { return tell(message) }
                    if connection == nil { try await connect(isolation: actor) }
                    guard let connection else { continue }
                    let comments = parser.comments
                    try take(await connection.read())
                    if waiting.isEmpty, parser.comments != comments { return .keepAlive }
                } catch {
                    if case .cancelled = error { break }
                    return tell(try interrupted(by: error))
                }
            }
            end()
            return nil
        }

        private mutating func tell(_ message: LiveEventMessage) -> Sign {
            if let news = outage.hear(message) { events.onOutage?(news) }
            return .message(message)
        }

        private mutating func take(_ bytes: [UInt8]) throws(DriveClientError) {
            do { waiting = try parser.read(bytes)[...] } catch {
                throw .invalidReply("an event is larger than \(parser.maximumData >> 20) MiB")
            }
        }

        private mutating func nextWaiting() throws(DriveClientError) -> LiveEventMessage? {
            while let event = waiting.popFirst() {
                switch try cursor.step(event) {
                case .message(let message):
                    if case .ready = message { readySince = events.client.surroundings.monotonic() }
                    return message
                // A token that has ended is refused, or another one given, when it is asked for again.
                case .closed(let reason): throw .server(reason, retryAfter: nil)
                case .nothing: break
                }
            }
            return nil
        }

        private mutating func connect(isolation actor: isolated (any Actor)?) async throws(DriveClientError) {
            if let delay {
                self.delay = nil
                do { try await events.client.surroundings.sleep(delay) } catch { throw .cancelled }
            }
            parser = ServerSentEventParser()
            connection = try await LiveConnection.open(events.call(since: cursor.since), by: events.client)
        }

        /// Prepares the next attempt, or ends the stream.
        private mutating func interrupted(by error: DriveClientError) throws(DriveClientError) -> LiveEventMessage {
            let client = events.client
            waiting = []
            connection = nil
            defer { readySince = nil }
            guard isPassing(error) else { throw ended(by: error) }
            let now = client.surroundings.monotonic()
            // One that held longer than its making took: the failures before it are over. One that breaks at once is one more.
            if let readySince, now - readySince >= Swift.max(lastDelay, events.policy.base) { backoff.succeeded() }
            let wish = ReplyMeaning(of: error).repetition?.after ?? parser.reconnectionTime.map { Swift.min($0, events.policy.cap) }
            guard let delay = backoff.delay(afterFailureAt: now, retryAfter: wish, jitter: client.surroundings.jitter()) else {
                throw ended(by: backoff.end(after: error, at: now))
            }
            self.delay = delay
            lastDelay = delay
            return .interrupted(error, retryIn: delay)
        }

        private func isPassing(_ error: DriveClientError) -> Bool {
            // Said by the server over a stream that was ready, whatever its code means elsewhere.
            if readySince != nil, case .server = error { return true }
            return ReplyMeaning(of: error).repetition != nil
        }

        private mutating func ended(by error: DriveClientError) -> DriveClientError {
            end()
            return error
        }

        private mutating func end() {
            isOver = true
            connection = nil
            waiting = []
        }
    }
}

extension DriveClient {
    /// The account's events as they happen; see `LiveEvents`.
    /// - Parameters:
    ///   - since: the number of the last event the caller has; nil: from now on, with the open tasks first.
    ///   - types: whole (`task.completed`) or by what they begin with, up to a dot (`task.*`); empty: all. Other programs' are called as they like.
    ///   - taskIds: events of these tasks alone, at most 100; empty: of all, and those that belong to no task.
    ///   - policy: how long a connection may be missing, and the waits between attempts to make it; for ever by default.
    public func events(
        since: Int64? = nil, types: [String] = [], taskIds: [String] = [], retrying policy: RetryPolicy = .endless
    ) -> LiveEvents {
        LiveEvents(client: self, since: since, types: types, taskIds: taskIds, policy: policy)
    }
}
