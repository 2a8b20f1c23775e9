import Foundation
import Logging

/// Writes each entry as one line, as text or as JSON.
struct LineLogHandler: LogHandler {
    let label: String
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    let isJSON: Bool
    let now: @Sendable () -> Date
    let sink: LogOutput.Sink

    init(
        label: String, logLevel: Logger.Level, metadataProvider: Logger.MetadataProvider?, isJSON: Bool,
        now: @escaping @Sendable () -> Date, sink: @escaping LogOutput.Sink
    ) {
        self.label = label
        self.logLevel = logLevel
        self.metadataProvider = metadataProvider
        self.isJSON = isJSON
        self.now = now
        self.sink = sink
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let explicit = event.metadata { all.merge(explicit) { _, new in new } }
        if let error = event.error { all["error"] = "\(error)" }
        let fields = all.sorted { $0.key < $1.key }
        sink(isJSON ? jsonLine(event, fields: fields) : textLine(event, fields: fields))
    }

    private var time: String {
        now().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }

    private func textLine(_ event: LogEvent, fields: [(key: String, value: Logger.MetadataValue)]) -> String {
        let level = event.level.rawValue.padded(to: 8)
        let start = "\(time) \(level) \(LogEscaping.visible(label)): \(LogEscaping.visible("\(event.message)"))"
        let rest = fields.map { " \(LogEscaping.field($0.key))=\(LogEscaping.field("\($0.value)"))" }
        return start + rest.joined()
    }

    /// Entries' own fields come first; metadata stands under a key of its own, so that it can replace none of them.
    private func jsonLine(_ event: LogEvent, fields: [(key: String, value: Logger.MetadataValue)]) -> String {
        var members = [
            ("time", LogEscaping.json(time)), ("level", LogEscaping.json(event.level.rawValue)), ("label", LogEscaping.json(label)),
            ("message", LogEscaping.json("\(event.message)")),
        ]
        if !fields.isEmpty {
            let inner = fields.map { "\(LogEscaping.json($0.key)):\(LineLogHandler.json($0.value))" }
            members.append(("metadata", "{\(inner.joined(separator: ","))}"))
        }
        return "{" + members.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
    }

    private static func json(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .string(let text): LogEscaping.json(text)
        case .stringConvertible(let value): LogEscaping.json("\(value)")
        case .array(let values): "[" + values.map(json).joined(separator: ",") + "]"
        case .dictionary(let values):
            "{" + values.sorted { $0.key < $1.key }.map { "\(LogEscaping.json($0.key)):\(json($0.value))" }.joined(separator: ",") + "}"
        }
    }
}
