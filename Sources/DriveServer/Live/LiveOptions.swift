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

    /// - Parameter tasks: how the client calls the list of tasks.
    init(since: Int64?, types: [String]?, taskIds: [String]?, deviceId: String? = nil, tasks: String = "taskIds") throws(DriveError) {
        if let deviceId {
            guard let id = UUID(uuidString: deviceId) else {
                throw Self.refusal("deviceId", "deviceId is the id of a registered device, a UUID.")
            }
            self.deviceId = id.uuidString.lowercased()
        }
        if let since, since < 0 { throw Self.noNumber("since") }
        self.since = since
        filter = try Self.filter(types: types, taskIds: taskIds, tasks: tasks)
    }

    /// From the query: `since`, `types` (comma separated), `task` (repeatable), `deviceId`, and `lastEventId` for the field
    /// `Last-Event-ID`. Throws `INVALID_REQUEST` also for one that is empty or stands twice: it is not to count as left out.
    ///
    /// - Parameter lastEventId: the field `Last-Event-ID`, which outweighs `lastEventId`, as that does `since`. Empty is none
    ///   (WHATWG HTML §9.2.3).
    init(query: [(name: Substring, value: Substring)], lastEventId field: String? = nil) throws(DriveError) {
        let since = try Self.number(Self.single("since", of: query), of: "since")
        let last = try Self.single("lastEventId", of: query)
        let numbers = (
            field: try Self.number(field == "" ? nil : field, of: "Last-Event-ID"),
            last: try Self.number(last == "" ? nil : last, of: "lastEventId")
        )
        let types = try Self.single("types", of: query).map { $0.split(separator: ",").map(String.init) }
        let tasks = query.filter { $0.name == "task" }.map { String($0.value) }
        try self.init(
            since: numbers.field ?? numbers.last ?? since, types: types, taskIds: tasks.isEmpty ? nil : tasks,
            deviceId: Self.single("deviceId", of: query), tasks: "task")
    }

    /// Throws `INVALID_REQUEST` also for a list without members, which would select nothing.
    ///
    /// - Parameter tasks: how the client calls the list of tasks.
    static func filter(types: [String]?, taskIds: [String]?, tasks: String = "taskIds") throws(DriveError) -> EventFilter {
        if let types {
            guard (1...mostTypes).contains(types.count), types.allSatisfy(LiveEvent.isType) else {
                throw refusal(
                    "types",
                    "types has 1 to \(mostTypes) types, such as task.completed or task.*, each of 1 to 64 visible ASCII characters "
                        + "without quotation marks, backslashes and commas; leave it out for all.")
            }
        }
        if let taskIds {
            guard (1...mostTasks).contains(taskIds.count), !taskIds.contains("") else {
                throw refusal(tasks, "\(tasks) names 1 to \(mostTasks) tasks by their ids; leave it out for all.")
            }
        }
        return EventFilter(taskIds: taskIds.map(Set.init), types: types.map(Set.init))
    }

    /// What a query says once.
    private static func single(_ name: String, of query: [(name: Substring, value: Substring)]) throws(DriveError) -> String? {
        let values = query.filter { $0.name == name }
        guard values.count <= 1 else { throw refusal(name, "\(name) is given \(values.count) times; it may be given once.") }
        return values.first.map { String($0.value) }
    }

    private static func number(_ text: String?, of name: String) throws(DriveError) -> Int64? {
        guard let text else { return nil }
        guard let number = Int64(text), number >= 0 else { throw noNumber(name) }
        return number
    }

    private static func noNumber(_ name: String) -> DriveError { refusal(name, "\(name) is the number of an event, from 0.") }

    private static func refusal(_ rule: String, _ message: String) -> DriveError {
        DriveError(.invalidRequest, message, details: ["rule": .string(rule)])
    }
}
