import DriveClient
import DriveModel

/// Prints live events: a line each for people, a packet each for programs.
struct EventReport {
    private let console: Console
    /// What is watched, in words, and from where.
    private let wish: String
    private let since: Int64?
    private let time: LocalTime
    private var outage = LiveOutage()
    /// What comes up to this one happened before.
    private var latest: Int64 = 0
    /// The number of the last event that was told of; nil before the stream begins.
    private var last: Int64?

    init(console: Console, types: [String] = [], taskIds: [String] = [], since: Int64? = nil, time: LocalTime = LocalTime()) {
        self.console = console
        self.since = since
        self.time = time
        wish = Self.wish(types, taskIds)
    }

    mutating func show(_ message: LiveEventMessage) throws {
        if console.json, let packet = try Self.packet(message) { console.answer(packet) }
        let news = outage.hear(message)
        switch message {
        case .ready(let ready):
            latest = ready.latest ?? 0
            for line in begin(ready, isBack: news == .back) { console.hint(line) }
        case .snapshot(let snapshot):
            if !snapshot.tasks.isEmpty { console.hint(Self.openTasks(snapshot.tasks.count)) }
        case .event(let event):
            last = event.sequence
            // Of the few that do not say when: when it came, if it is new.
            let when = (event.time ?? (event.sequence <= latest ? nil : time.now())).map(time.text) ?? LocalTime.unknown
            if !console.json { console.answer("\(when)  \(Self.line(event))") }
        case .interrupted:
            if case .lost(let error)? = news { console.hint(tryingAgainAfter: error) }
        }
    }

    /// What a person is told where the stream begins, or goes on.
    mutating func begin(_ ready: LiveEventMessage.Ready, isBack: Bool = false) -> [String] {
        defer { last = ready.sequence }
        guard let last else {
            let missing = since.flatMap { since -> String? in
                guard ready.beginning != .resumed else { return nil }
                return since > ready.sequence
                    ? "There is no event #\(since) yet; the last one is #\(ready.sequence)."
                    : "Not all that came after #\(since) is kept any more."
            }
            let warning = ready.warning.map { "Warning: \($0)" }
            return [missing, warning, "Watching \(wish) after #\(ready.sequence); Ctrl-C ends."].compactMap(\.self)
        }
        if ready.sequence < last { return ["The server counts its events anew; the last one is #\(ready.sequence)."] }
        if ready.beginning != .resumed, ready.sequence > last {
            return ["Connected again; events #\(last + 1) to #\(ready.sequence) cannot be shown."]
        }
        return isBack ? ["Connected again; nothing was missed."] : []
    }

    private static func openTasks(_ count: Int) -> String {
        (count == 1 ? "1 task is open" : "\(count) tasks are open") + " (drive tasks)."
    }

    /// `all events`, `task.*, batch.completed of 2 tasks`.
    private static func wish(_ types: [String], _ taskIds: [String]) -> String {
        let kinds = types.isEmpty ? "all events" : types.joined(separator: ", ")
        switch taskIds.count {
        case 0: return kinds
        case 1: return "\(kinds) of task \(taskIds[0])"
        default: return "\(kinds) of \(taskIds.count) tasks"
        }
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
        // Of another program's packet any number, also one that is no Int.
        case .double(let percent)?: if let whole = Int(exactly: percent.rounded(.down)) { words.append("\(whole) %") }
        default: break
        }
        // What another program sent to the person.
        if event.type == "notification.received" { words += ["title", "body"].compactMap { data[$0]?.string }.filter { !$0.isEmpty } }
        words += ["name", "fileName"].compactMap { data[$0]?.string }.prefix(1)
        // The latter beside the data of another program's packet.
        if let message = (data["errorMessage"] ?? data["error_message"])?.string {
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
