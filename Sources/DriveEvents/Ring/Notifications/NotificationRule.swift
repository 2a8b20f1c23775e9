import DriveModel
import Foundation

/// A notification that an event becomes.
public struct RingNotification: Hashable, Sendable {
    public var kind: NotificationKind
    public var content: PushNotification
    public var taskId: String?
    public var urgency: PushOptions.Urgency
    /// A later notification with the same key takes its place on a device that has not shown it yet.
    public var collapseKey: String
    /// Whether it goes to devices, not into the list alone.
    public var isPushed: Bool
    /// Whether the list keeps it; of what is not listed nothing is left once it is pushed.
    public var isListed: Bool
    /// How long a provider is to keep it.
    public var timeToLive: Duration
}

/// Which events become notifications, and what these say. A pure value.
public enum NotificationRule {
    /// Events of these types may; all others never do.
    public static let eventTypes = [
        "batch.completed", "notification.received", "quota.warning", "task.cancelled", "task.completed", "task.expired", "task.failed",
    ]

    /// The rows of `events` that may: no packets of other programs. In SQL's own words, as `idx_events_news` says it, since no
    /// parameter matches the condition of a partial index.
    static let rows = "type IN (\(eventTypes.map { "'\($0)'" }.joined(separator: ", "))) AND relay IS NULL"

    /// News older than this is not pushed any more, only listed.
    public static let freshness = Duration.seconds(86_400)

    /// What an account is like when an event of its is looked at.
    public struct Situation: Hashable, Sendable {
        public var preferences: NotificationPreferences
        /// Whether somebody of the account looks at the screen.
        public var isWatching: Bool
        public var now: Timestamp

        public init(preferences: NotificationPreferences, isWatching: Bool, now: Timestamp) {
            self.preferences = preferences
            self.isWatching = isWatching
            self.now = now
        }
    }

    /// The notification; nil where there is none: it is no news, the account does not want it, or it is an upload's and
    /// somebody watches it.
    public static func notification(for event: LiveEvent, at time: Timestamp, in situation: Situation) -> RingNotification? {
        guard let data = try? DriveJSON.value([String: JSONValue].self, from: event.data), let kind = kind(of: event.type, data) else {
            return nil
        }
        let delivery = situation.preferences[kind]
        guard delivery != .off, !(situation.isWatching && kind != .program && isUpload(data)) else { return nil }
        let age = max(.zero, situation.now - time)
        let content = kind == .program ? program(data) : own(kind, event, data)
        let notification = RingNotification(
            kind: kind, content: content, taskId: event.taskId, urgency: content.isSilent ? .low : urgency(kind),
            collapseKey: kind == .program ? "event-\(event.sequence)" : collapseKey(event, data),
            isPushed: delivery == .push && !situation.isWatching && age < freshness, isListed: content.isSavable && !content.isSilent,
            timeToLive: max(.zero, freshness - age))
        return notification.isPushed || notification.isListed ? notification : nil
    }

    /// In characters and in bytes of UTF-8, of which a character may have any number; names and messages have no such bounds of
    /// their own everywhere.
    static let longestBody = 1000
    static let longestBodyBytes = 4096
    /// Of the short texts in `meta`: ids, codes, types.
    static let longestWord = 64

    /// Of Drive's own news.
    private static func own(_ kind: NotificationKind, _ event: LiveEvent, _ data: [String: JSONValue]) -> PushNotification {
        let (title, body) = texts(kind, type: event.type, data)
        return PushNotification(
            topic: kind.rawValue, title: title, body: bounded(body, bytes: longestBodyBytes, characters: longestBody),
            meta: .object(meta(event, data)))
    }

    /// As many first characters as fit.
    static func bounded(_ text: String, bytes: Int, characters: Int = .max) -> String {
        guard text.utf8.count > min(bytes, characters) else { return text }
        var (taken, count) = (0, 0)
        return String(
            text.prefix { character in
                taken += character.utf8.count
                count += 1
                return taken <= bytes && count <= characters
            })
    }

    // MARK: Parts

    private static func isUpload(_ data: [String: JSONValue]) -> Bool { data["type"]?.string == TaskType.fileUpload.rawValue }

    private static func kind(of type: String, _ data: [String: JSONValue]) -> NotificationKind? {
        switch type {
        case "task.completed":
            guard isUpload(data) else { return .taskCompleted }
            // A part of another upload is no file of its own.
            return data["results"]?["concatenatedInto"] == nil ? .uploadCompleted : nil
        case "task.failed", "task.expired": return isUpload(data) ? .uploadFailed : .taskFailed
        case "task.cancelled": return .taskCancelled
        case "batch.completed": return .batchCompleted
        case "quota.warning": return .quotaWarning
        case NotificationKind.program.rawValue: return .program
        default: return nil
        }
    }

    private static func texts(_ kind: NotificationKind, type: String, _ data: [String: JSONValue]) -> (title: String, body: String) {
        let name = data["name"]?.string ?? ""
        let reason = data["errorMessage"]?.string
        // "Name: reason", as far as there are both.
        let failure = [name, reason].compactMap { $0?.isEmpty == false ? $0 : nil }.joined(separator: ": ")
        switch kind {
        case .uploadCompleted: return ("Upload complete", data["results"]?["fileName"]?.string ?? name)
        case .uploadFailed: return (type == "task.expired" ? "Upload expired" : "Upload failed", reason ?? name)
        case .taskCompleted: return ("Task complete", name)
        case .taskFailed: return (type == "task.expired" ? "Task expired" : "Task failed", failure)
        case .taskCancelled: return ("Cancelled", failure)
        case .batchCompleted: return batch(name, data)
        case .quotaWarning:
            let percent = data["percent"]?.integer ?? 0
            return (percent >= 100 ? "Storage full" : "Storage almost full", "\(percent) % of your storage is in use.")
        case .program: return ("", "")
        }
    }

    private static func batch(_ name: String, _ data: [String: JSONValue]) -> (title: String, body: String) {
        let total = data["totalTasks"]?.integer ?? 0
        let failed = data["failedTasks"]?.integer ?? 0
        let cancelled = data["cancelledTasks"]?.integer ?? 0
        let outcome =
            failed + cancelled == 0
            ? "all \(total) tasks completed"
            : "\(data["completedTasks"]?.integer ?? 0) of \(total) tasks completed, \(failed) failed, \(cancelled) cancelled"
        return (failed > 0 ? "Batch ended with failures" : "Batch complete", name.isEmpty ? outcome : "\(name): \(outcome)")
    }

    private static func urgency(_ kind: NotificationKind) -> PushOptions.Urgency {
        switch kind {
        case .uploadFailed, .taskFailed, .quotaWarning: .high
        case .uploadCompleted, .taskCompleted, .batchCompleted, .program: .normal
        case .taskCancelled: .low
        }
    }

    private static func collapseKey(_ event: LiveEvent, _ data: [String: JSONValue]) -> String {
        if let taskId = event.taskId { return "task-\(taskId)" }
        if let batch = data["batchId"]?.string { return "batch-\(batch)" }
        return event.type == "quota.warning" ? "quota" : "event-\(event.sequence)"
    }

    /// What the program gets: the event's number and what it is about, never its free texts again.
    private static func meta(_ event: LiveEvent, _ data: [String: JSONValue]) -> [String: JSONValue] {
        var meta: [String: JSONValue] = ["sequence": .integer(event.sequence), "event": .string(event.type)]
        meta["taskId"] = event.taskId.map { .string($0) }
        for name in ["batchId", "errorCode"] { meta[name] = word(data[name]) }
        meta["percent"] = data["percent"]?.integer.map { .integer($0) }
        meta["taskType"] = word(data["type"])
        // Results are whatever a task's handler says, which may be a program of the account's own.
        meta["fileId"] = word(data["results"]?["fileId"])
        return meta
    }

    /// A short text; nil for anything else.
    private static func word(_ value: JSONValue?) -> JSONValue? {
        guard let text = value?.string, text.utf8.count <= longestWord else { return nil }
        return .string(text)
    }
}
