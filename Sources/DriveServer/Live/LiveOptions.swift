import DriveEvents
import DriveModel
import Foundation

/// What a client wants of the stream, from a query or a message.
struct LiveOptions: Hashable, Sendable {
    /// The number of the last event it has; nil: from now on, with a snapshot.
    var since: Int64?
    var filter = EventFilter.all
    /// The client's device, as `PUT /notifications/subscription` named it; in lower case.
    var deviceId: String?

    /// Everything, from now on.
    static let none = LiveOptions()

    static let mostTypes = 50
    static let mostTasks = 100

    private init() {}

    init(since: Int64?, types: [String]?, taskIds: [String]?, deviceId: String? = nil) throws(DriveError) {
        if let deviceId {
            guard let id = UUID(uuidString: deviceId) else {
                throw Self.refusal("deviceId", "deviceId is the id of a registered device, a UUID.")
            }
            self.deviceId = id.uuidString.lowercased()
        }
        if let since, since < 0 { throw Self.refusal("since", "since is the number of an event, from 0.") }
        self.since = since
        filter = try Self.filter(types: types, taskIds: taskIds)
    }

    /// From the query: `since`, `types` (comma separated), `task` (repeatable), `deviceId`.
    ///
    /// - Parameter lastEventId: the field `Last-Event-ID`, which outweighs `since` (WHATWG HTML §9.2.4).
    init(query: [(name: Substring, value: Substring)], lastEventId: String? = nil) throws(DriveError) {
        let since = lastEventId ?? query.first { $0.name == "since" }.map { String($0.value) }
        var number: Int64?
        if let since, !since.isEmpty {
            guard let parsed = Int64(since) else { throw Self.refusal("since", "since is the number of an event, from 0.") }
            number = parsed
        }
        let types = query.first { $0.name == "types" }.map { $0.value.split(separator: ",").map(String.init) }
        let tasks = query.filter { $0.name == "task" }.map { String($0.value) }
        let device = query.first { $0.name == "deviceId" }.map { String($0.value) }
        try self.init(since: number, types: types, taskIds: tasks.isEmpty ? nil : tasks, deviceId: device)
    }

    static func filter(types: [String]?, taskIds: [String]?) throws(DriveError) -> EventFilter {
        if let types {
            guard types.count <= mostTypes, types.allSatisfy(isType) else {
                throw refusal("types", "types has at most \(mostTypes) types such as task.completed or task.*.")
            }
        }
        if let taskIds, taskIds.count > mostTasks { throw refusal("taskIds", "taskIds has at most \(mostTasks) ids.") }
        return EventFilter(taskIds: taskIds.map(Set.init), types: types.map(Set.init))
    }

    private static func isType(_ text: String) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, text.utf8.count <= 64 else { return false }
        return parts[0].utf8.allSatisfy(isLetter) && !parts[0].isEmpty
            && (parts[1] == "*" || (parts[1].utf8.allSatisfy(isLetter) && !parts[1].isEmpty))
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (97...122).contains(byte | 0x20) }

    private static func refusal(_ rule: String, _ message: String) -> DriveError {
        DriveError(.invalidRequest, message, details: ["rule": .string(rule)])
    }
}
