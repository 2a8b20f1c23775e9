import DriveModel
import Foundation
import Testing

@testable import DriveEvents

/// Which events a client gets, and how they look.
@Suite struct EventFilterTests {
    private static let events = [
        LiveEvent(sequence: 1, type: "task.progress", taskId: "a", data: "{}"),
        LiveEvent(sequence: 2, type: "task.completed", taskId: "b", data: "{}"),
        LiveEvent(sequence: 3, type: "upload.completed", taskId: "a", data: "{}"),
        LiveEvent(sequence: 4, type: "file.created", taskId: nil, data: "{}"),
        LiveEvent(sequence: 5, type: "alone", taskId: "b", data: "{}"),
        LiveEvent(sequence: 6, type: "tasks.purged", taskId: nil, data: "{}"),
        LiveEvent(sequence: 7, type: "message.new.v2", taskId: nil, data: "{}"),
        LiveEvent(sequence: 8, type: "message.newer", taskId: nil, data: "{}"),
        LiveEvent(sequence: 9, type: "*", taskId: nil, data: "{}"),
    ]

    private static let table: [(filter: EventFilter, admitted: [Int64])] = [
        (.all, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (EventFilter(taskIds: ["a"]), [1, 3]),
        (EventFilter(taskIds: ["a", "b"]), [1, 2, 3, 5]),
        (EventFilter(taskIds: []), []),
        (EventFilter(types: ["task.*"]), [1, 2]),
        (EventFilter(types: ["task.completed"]), [2]),
        (EventFilter(types: ["*.completed"]), []),
        (EventFilter(types: ["task"]), []),
        (EventFilter(types: ["alone"]), [5]),
        (EventFilter(types: ["alone.*"]), []),
        (EventFilter(types: ["TASK.*"]), []),
        (EventFilter(types: ["file.*", "upload.completed"]), [3, 4]),
        (EventFilter(types: []), []),
        (EventFilter(types: ["message.*"]), [7, 8]),
        (EventFilter(types: ["message.new.*"]), [7]),
        (EventFilter(types: ["message.new"]), []),
        (EventFilter(types: ["message.new.v2"]), [7]),
        (EventFilter(types: ["message.new.v2.*"]), []),
        (EventFilter(types: ["message*"]), []),
        (EventFilter(types: ["*"]), [9]),
        (EventFilter(taskIds: ["b"], types: ["task.*"]), [2]),
        (EventFilter(taskIds: ["a"], types: ["file.*"]), []),
    ]

    @Test(arguments: table.indices)
    func admits(row: Int) {
        let (filter, admitted) = Self.table[row]
        #expect(Self.events.filter(filter.admits).map(\.sequence) == admitted)
    }

    @Test func aPacketIsWhatAWebSocketClientGets() throws {
        let event = LiveEvent(sequence: 12, type: "task.\"x\"\n", taskId: "a", data: #"{"progress":45.5,"name":"ü"}"#)
        let packet = try JSONSerialization.jsonObject(with: Data(event.packet.utf8)) as? [String: Any]
        #expect(packet?["type"] as? String == "task.\"x\"\n")
        #expect(packet?["sequence"] as? Int == 12)
        #expect((packet?["data"] as? [String: Any])?["progress"] as? Double == 45.5)
        #expect(packet?.count == 3)
    }
}
