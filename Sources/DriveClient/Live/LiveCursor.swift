import DriveModel
import Foundation

/// Makes messages of a server's events, and keeps the place from which the stream goes on after an interruption. A pure value.
struct LiveCursor: Hashable, Sendable {
    /// What an event of the wire is.
    enum Step: Hashable, Sendable {
        case message(LiveEventMessage)
        /// The server ends the stream, and says why.
        case closed(ErrorReply)
        /// Seen already, or of a kind this client does not know.
        case nothing
    }

    /// The number of the last event the caller has, to be asked for what follows it; nil: from now on.
    private(set) var since: Int64?
    /// Events up to this number are no news.
    private var seen: Int64?

    init(since: Int64?) {
        self.since = since
        seen = since
    }

    /// - Throws: `.invalidReply`.
    mutating func step(_ event: ServerSentEvent) throws(DriveClientError) -> Step {
        switch event.type {
        case "ready":
            let ready: LiveEventMessage.Ready = try decode(event)
            // The numbers of another database, where an older one was put in its place, begin anew.
            seen = ready.sequence
            // Otherwise the place moves with the snapshot: lost before it comes, it is to come again.
            if ready.beginning == .resumed { since = ready.sequence }
            return .message(.ready(ready))
        case "snapshot":
            let snapshot: LiveEventMessage.Snapshot = try decode(event)
            since = snapshot.sequence
            return .message(.snapshot(snapshot))
        case "closed":
            let reason: Closed = try decode(event)
            return .closed(
                ErrorReply(code: reason.code, message: reason.message, status: reason.status ?? 503, details: [:], requestId: nil))
        default:
            guard let sequence = event.id.flatMap({ Int64($0) }) else { return .nothing }
            if let seen, sequence <= seen { return .nothing }
            let message = LiveEventMessage.Event(type: event.type, sequence: sequence, data: try decode(event))
            (since, seen) = (sequence, sequence)
            return .message(.event(message))
        }
    }

    private struct Closed: Decodable {
        var code: String
        var message: String
        /// As if it were the answer to a request.
        var status: Int?
    }

    private func decode<Value: Decodable>(_ event: ServerSentEvent) throws(DriveClientError) -> Value {
        do {
            return try DriveJSON.decoder().decode(Value.self, from: Data(event.data.utf8))
        } catch {
            throw .invalidReply("the event \(event.type.prefix(100)) \(event.id?.prefix(20) ?? "") is not readable")
        }
    }
}
