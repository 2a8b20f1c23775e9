import Logging
import Synchronization

/// Keeps what is logged, from a level up.
public final class LogRecorder: LogHandler, Sendable {
    private let recorded = Mutex<[(level: Logger.Level, text: String)]>([])
    private let least: Logger.Level

    public init(from least: Logger.Level = .info) {
        self.least = least
    }

    /// A logger that is recorded here.
    public var logger: Logger { Logger(label: "test") { _ in self } }

    public var levels: [Logger.Level] { recorded.withLock { $0.map(\.level) } }
    /// Each line's message and metadata.
    public var texts: [String] { recorded.withLock { $0.map(\.text) } }
    public var count: Int { recorded.withLock { $0.count } }
    public func count(_ level: Logger.Level) -> Int { levels.filter { $0 == level }.count }
    /// The lines with this text in them.
    public func lines(_ part: String) -> [String] { texts.filter { $0.contains(part) } }

    public var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    public var logLevel: Logger.Level {
        get { least }
        set {}
    }
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    public func log(event: LogEvent) {
        recorded.withLock { $0.append((event.level, "\(event.message) \(event.metadata ?? [:])")) }
    }
}
