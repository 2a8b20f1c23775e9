import DriveModel
import Foundation
import Testing

/// What the server said in a stream of events: of itself, or an event with its number.
struct LivePacket: Sendable, CustomStringConvertible {
    let type: String
    let sequence: Int64?
    let data: JSONValue
    var description: String { "\(sequence.map { "#\($0) " } ?? "")\(type) \((try? DriveJSON.text(data)) ?? "")" }

    var taskId: String? { data["taskId"]?.string }

    init(type: String, sequence: Int64?, data: JSONValue) {
        self.type = type
        self.sequence = sequence
        self.data = data
    }

    /// Reads the packet of a WebSocket.
    init(json bytes: [UInt8]) throws {
        let packet = try JSONDecoder().decode([String: JSONValue].self, from: Data(bytes))
        guard let type = packet["type"]?.string else { throw LiveFrame.Violation(description: "a packet without a type: \(packet)") }
        self.init(type: type, sequence: packet["sequence"]?.integer, data: packet["data"] ?? .null)
    }
}

/// A stream of events, by a WebSocket or by Server-Sent Events.
protocol LiveSource: Sendable {
    /// The next packet. Throws `LiveClosed` at the end, `TimedOut`.
    func packet(within limit: Duration) async throws -> LivePacket
}

extension LiveSource {
    func packet() async throws -> LivePacket { try await packet(within: .seconds(20)) }

    /// The next packet, which must be of this type.
    @discardableResult
    func packet(_ type: String, sourceLocation: SourceLocation = #_sourceLocation) async throws -> LivePacket {
        let packet = try await packet()
        try #require(packet.type == type, "\(packet)", sourceLocation: sourceLocation)
        return packet
    }

    /// Reads how the stream begins.
    /// - Returns: the number after which events follow, and the tasks of the snapshot, which comes unless it goes on where it was.
    @discardableResult
    func begin(
        as beginning: String = "now", sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> (sequence: Int64, tasks: [TaskSummary]) {
        let ready = try await packet("ready", sourceLocation: sourceLocation)
        #expect(ready.data["beginning"]?.string == beginning, "\(ready)", sourceLocation: sourceLocation)
        #expect(
            ready.sequence == nil && ready.data.object?.filter({ $0.key != "warning" }).count == 4, "\(ready)",
            sourceLocation: sourceLocation)
        let sequence = try #require(ready.data["sequence"]?.integer, "\(ready)", sourceLocation: sourceLocation)
        guard beginning != "resumed" else { return (sequence, []) }
        let snapshot = try await packet("snapshot", sourceLocation: sourceLocation)
        #expect(snapshot.data["sequence"]?.integer == sequence, "\(snapshot)", sourceLocation: sourceLocation)
        #expect(snapshot.data["isComplete"] == true, "\(snapshot)", sourceLocation: sourceLocation)
        let tasks = try JSONDecoder().decode(
            [TaskSummary].self, from: Data(DriveJSON.text(try #require(snapshot.data["tasks"], sourceLocation: sourceLocation)).utf8))
        return (sequence, tasks)
    }

    /// The packets up to the first that fits, which is the last.
    func packets(within limit: Duration = .seconds(30), until fits: (LivePacket) -> Bool) async throws -> [LivePacket] {
        let deadline = ContinuousClock.now + limit
        var packets: [LivePacket] = []
        while true {
            do {
                packets.append(try await packet(within: deadline - .now))
            } catch is TimedOut {
                throw TimedOut(what: "a packet; the last of \(packets.count) are \(packets.suffix(10))")
            }
            if let last = packets.last, fits(last) { return packets }
        }
    }

    /// The packets up to a task's event of this type.
    func packets(through type: String, of taskId: String, within limit: Duration = .seconds(30)) async throws -> [LivePacket] {
        try await packets(within: limit) { $0.type == type && $0.taskId == taskId }
    }
}

/// Fails the test where the numbers of events do not follow each other without a gap.
func expectGapless(_ events: [LivePacket], after sequence: Int64, sourceLocation: SourceLocation = #_sourceLocation) {
    let expected = (0..<events.count).map { sequence + 1 + Int64($0) }
    #expect(events.map(\.sequence) == expected, "\(events)", sourceLocation: sourceLocation)
}
