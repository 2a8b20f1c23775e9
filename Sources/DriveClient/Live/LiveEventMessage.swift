import DriveModel
import Foundation

/// What a stream of live events brings: what the server tells, and what becomes of the connection to it.
public enum LiveEventMessage: Hashable, Sendable {
    /// The stream begins, or begins again after an interruption.
    case ready(Ready)
    /// The account's open tasks as they are now. Follows `ready` unless the stream was resumed.
    case snapshot(Snapshot)
    /// Something happened.
    case event(Event)
    /// The connection is lost, or was not made; the stream tries again after the wait by itself.
    case interrupted(DriveClientError, retryIn: Duration)

    /// Where the stream begins.
    public struct Ready: Codable, Hashable, Sendable {
        public enum Beginning: String, Codable, Sendable, CaseIterable {
            /// With what happens from now on.
            case now
            /// Right after the event that came last; nothing is missing.
            case resumed
            /// The server does not have all that came since any more: look at everything anew.
            case gap
        }

        public var accountId: UUID
        /// The number after which events follow.
        public var sequence: Int64
        public var beginning: Beginning
        /// The account's last event: what comes up to it happened before. Nil of servers that do not say it.
        public var latest: Int64?
        /// What the server has to say of the options: of types that it does not know.
        public var warning: String?

        public init(accountId: UUID, sequence: Int64, beginning: Beginning, latest: Int64? = nil, warning: String? = nil) {
            self.accountId = accountId
            self.sequence = sequence
            self.beginning = beginning
            self.latest = latest
            self.warning = warning
        }
    }

    /// Tasks that have not ended, running ones first.
    public struct Snapshot: Codable, Hashable, Sendable {
        /// It holds what happened up to this number.
        public var sequence: Int64
        public var tasks: [TaskSummary]
        /// False where there are more than it shows.
        public var isComplete: Bool

        public init(sequence: Int64, tasks: [TaskSummary], isComplete: Bool) {
            self.sequence = sequence
            self.tasks = tasks
            self.isComplete = isComplete
        }
    }

    /// Something that happened, of a type and with data as docs/tasks.md lists them.
    public struct Event: Codable, Hashable, Sendable {
        /// Such as `task.completed`. There may be types that this library does not know.
        public var type: String
        /// Its number among the account's events; they count from 1.
        public var sequence: Int64
        public var data: [String: JSONValue]

        public init(type: String, sequence: Int64, data: [String: JSONValue]) {
            self.type = type
            self.sequence = sequence
            self.data = data
        }

        /// The task it tells of; nil where it is of none.
        public var taskId: String? { data["taskId"]?.string }

        /// When it happened, as its data say; nil where they do not.
        public var time: Timestamp? {
            for name in Self.times {
                if let time = data[name]?.string.flatMap({ Timestamp($0) }) { return time }
            }
            return nil
        }

        /// The members of an event's data that say when it happened; others of such names, `runAt` say, tell of other times.
        private static let times = [
            "completedAt", "failedAt", "changedAt", "stalledAt", "deletedAt", "movedAt", "updatedAt", "lastActivity", "createdAt",
        ]
    }
}
