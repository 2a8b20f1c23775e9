import DriveDatabase
import DriveModel
import Foundation

/// An event of the outbox on its way to the clients.
public struct LiveEvent: Hashable, Sendable {
    /// Its number among the account's events, from 1 and without gaps.
    public let sequence: Int64
    public let type: String
    public let taskId: String?
    /// JSON text of an object.
    public let data: String
    /// Of a packet that another program sent.
    public let relay: EventRelay?

    /// - Parameter data: JSON text of an object.
    public init(sequence: Int64, type: String, taskId: String?, data: String, relay: EventRelay? = nil) {
        self.sequence = sequence
        self.type = type
        self.taskId = taskId
        self.data = data
        self.relay = relay
    }

    /// Whether it can be the type of an event, Drive's own or another program's: 1 to 64 visible ASCII characters, and none of `"`,
    /// `\` and comma, so that it stands in a JSON text, an SSE field and a list of types as it is.
    public static func isType(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") && $0 != UInt8(ascii: ",")
            }
    }

    /// JSON text: `{"type":…,"sequence":…,"data":{…}}`, as a WebSocket client gets it.
    public var packet: String {
        var writer = JSONObjectWriter()
        writer.add("type", type)
        writer.add("sequence", json: String(sequence))
        writer.add("data", json: data)
        if let message = relay?.errorMessage { writer.add("error_message", message) }
        return writer.text
    }

    /// JSON text of the data alone, as Server-Sent Events carry it; an error's text is a member of it there.
    public var bareData: String {
        guard let message = relay?.errorMessage else { return data }
        var writer = JSONObjectWriter()
        writer.add("error_message", message)
        let members = data.dropFirst().dropLast().trimmingPrefix { $0 == " " }
        return members.isEmpty ? writer.text : "{\(members),\(writer.text.dropFirst())"
    }

    /// Bytes it takes while it waits, about.
    var size: Int { data.utf8.count + 64 }

    /// - Parameter data: where the row has it not.
    init(_ row: SQLRow, data: String? = nil) throws {
        self.init(
            sequence: try row.int64("sequence"), type: try row.text("type"), taskId: try row.optionalText("task_id"),
            data: Self.condensed(try data ?? row.text("data")), relay: try row.optionalDecoded("relay"))
    }

    /// More than an event has where its numbers are short.
    private static let longData = 1 << 20

    /// Data as Drive writes it, where it is long. PostgreSQL hands out `1e300` with all its zeros: what was 256 KiB may be 11 MB, more
    /// than a message of gRPC can hold, and as much again for each client that reads slowly.
    private static func condensed(_ data: String) -> String {
        guard data.utf8.count > longData else { return data }
        return (try? DriveJSON.text(DriveJSON.value([String: JSONValue].self, from: data))) ?? data
    }

    /// What a newer event of the same kind makes superfluous: nobody who reads slowly needs every step of a progress.
    var progressKey: String? {
        guard let taskId, type.hasSuffix(".progress") else { return nil }
        return type + ":" + taskId
    }
}

/// Which of its account's events a client wants.
public struct EventFilter: Hashable, Sendable {
    /// Events of these tasks alone; nil: of all, and those that belong to no task.
    public var taskIds: Set<String>?
    /// Types, whole (`task.completed`) or by what they begin with, up to a dot (`task.*`, `message.new.*`); nil: all.
    public var types: Set<String>?

    public init(taskIds: Set<String>? = nil, types: Set<String>? = nil) {
        self.taskIds = taskIds
        self.types = types
    }

    /// Every event.
    public static let all = EventFilter()

    public func admits(_ event: LiveEvent) -> Bool {
        if let taskIds {
            guard let taskId = event.taskId, taskIds.contains(taskId) else { return false }
        }
        guard let types else { return true }
        if types.contains(event.type) { return true }
        let letters = event.type.utf8
        return letters.indices.contains { letters[$0] == UInt8(ascii: ".") && types.contains(event.type[...$0] + "*") }
    }
}
