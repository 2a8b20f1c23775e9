import DriveClient
import DriveModel

/// Prints live events: a line each for people, a packet each for programs.
struct EventReport {
    private let console: Console
    private let now: @Sendable () -> Timestamp
    private var hasBegun = false
    private var isInterrupted = false

    init(console: Console, now: @escaping @Sendable () -> Timestamp = Surroundings.system.now) {
        self.console = console
        self.now = now
    }

    mutating func show(_ message: LiveEventMessage) throws {
        if console.json, let packet = try Self.packet(message) { console.answer(packet) }
        switch message {
        case .ready(let ready): begin(ready)
        case .snapshot(let snapshot):
            if !snapshot.tasks.isEmpty { console.hint("\(snapshot.tasks.count) tasks are open (drive tasks).") }
        case .event(let event):
            if !console.json { console.answer("\(now().description.prefix(19).suffix(8))  \(Self.line(event))") }
        case .interrupted(let error, _):
            // Once per outage, however many attempts it takes.
            if !isInterrupted { console.hint("\(error) Trying again.") }
            isInterrupted = true
        }
    }

    private mutating func begin(_ ready: LiveEventMessage.Ready) {
        switch ready.beginning {
        case .now where !hasBegun: console.hint("Watching; the last event so far is \(ready.sequence).")
        case .now, .gap: console.hint("What happened before event \(ready.sequence + 1) is not known here.")
        case .resumed where isInterrupted: console.hint("Connected again; nothing was missed.")
        case .resumed: break
        }
        hasBegun = true
        isInterrupted = false
    }

    /// `#12  task.progress  3kTz…  45 %  word-count  line 2 of 4`.
    static func line(_ event: LiveEventMessage.Event) -> String {
        let data = event.data
        var words = ["#\(event.sequence)", event.type]
        // A file's event names the task it came by, too.
        let names = event.type.hasPrefix("file.") ? ["fileId"] : ["taskId", "batchId", "bundleId", "fileId"]
        for name in names where words.count == 2 {
            if let id = data[name]?.string { words.append(id) }
        }
        if case .integer(let percent)? = data["percent"] { words.append("\(percent) % of the quota") }
        switch data["progress"] {
        case .integer(let percent)?: words.append("\(percent) %")
        case .double(let percent)?: words.append("\(Int(percent)) %")
        default: break
        }
        words += ["name", "fileName"].compactMap { data[$0]?.string }.prefix(1)
        if let message = data["errorMessage"]?.string {
            words.append((data["errorCode"]?.string).map { "\($0): \(message)" } ?? message)
        } else if let message = data["statusMessage"]?.string {
            words.append(message)
        }
        return words.map(\.oneLine).joined(separator: "  ")
    }

    /// The message as a WebSocket client gets it; nil for what no server said.
    static func packet(_ message: LiveEventMessage) throws -> String? {
        switch message {
        case .ready(let ready): try DriveJSON.text(Packet(type: "ready", data: ready))
        case .snapshot(let snapshot): try DriveJSON.text(Packet(type: "snapshot", data: snapshot))
        case .event(let event): try DriveJSON.text(event)
        case .interrupted: nil
        }
    }

    private struct Packet<Value: Encodable>: Encodable {
        var type: String
        var data: Value
    }
}
