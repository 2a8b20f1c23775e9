import DriveEvents
import DriveModel
import Foundation
import HTTPTypes

/// What the server says of itself in a stream of events: its start, the snapshot, answers, errors.
enum LivePackets {
    struct Ready: Encodable, Sendable {
        var accountId: UUID
        /// Events follow after this one.
        var sequence: Int64
        /// The account's last event: what comes up to it happened before.
        var latest: Int64
        /// `now`, `resumed` or `gap`.
        var beginning: String
        /// What was asked for and will hardly come.
        var warning: String?

        init(account: UUID, sequence: Int64, latest: Int64, beginning: EventHub.Beginning, filter: EventFilter) {
            accountId = account
            warning = LiveRequestTypes.warning(filter.types)
            self.sequence = sequence
            self.latest = latest
            self.beginning =
                switch beginning {
                case .now: "now"
                case .resumed: "resumed"
                case .gap: "gap"
                }
        }

        mutating func warn(_ more: String?) {
            if let more { warning = [warning, more].compactMap(\.self).joined(separator: " ") }
        }
    }

    /// The account's open tasks, for who has seen none of them.
    struct Snapshot: Encodable, Sendable {
        var sequence: Int64
        var tasks: [TaskSummary]
        /// False where there are more open tasks than fit.
        var isComplete: Bool
    }

    struct Subscribed: Encodable, Sendable {
        var types: [String]?
        var taskIds: [String]?
        var warning: String?

        init(_ filter: EventFilter) {
            warning = LiveRequestTypes.warning(filter.types)
            types = filter.types?.sorted()
            taskIds = filter.taskIds?.sorted()
        }
    }

    /// `{"type":…,"data":…}`.
    static func packet(_ type: String, _ data: some Encodable) throws -> String {
        var writer = JSONObjectWriter()
        writer.add("type", type)
        writer.add("data", json: try DriveJSON.text(data))
        return writer.text
    }

    static let pong = #"{"type":"pong"}"#

    /// The error's own shape in `data`, as HTTP answers it, and its message beside it, as gateways of this kind frame it.
    static func error(_ error: DriveError) -> String {
        var writer = JSONObjectWriter()
        writer.add("type", "error")
        writer.add("data", json: errorBody(error))
        writer.add("error_message", error.message)
        return writer.text
    }

    /// JSON text: `code`, `message`, `status`, `details`.
    static func errorBody(_ error: DriveError) -> String {
        // A body that could not be encoded would be a fault of ours; the code says enough then.
        let reply = ErrorReply(
            code: error.code.name, message: error.message, status: ErrorMapping.status(of: error.code.category).code,
            details: error.details,
            requestId: nil)
        return (try? DriveJSON.text(reply)) ?? #"{"code":"\#(error.code.name)"}"#
    }
}
