import Foundation
import Logging
import Synchronization

/// The form of log lines.
package enum LogFormat: String, Sendable, Equatable, CaseIterable {
    case text, json
    /// Text on a terminal, JSON otherwise.
    case auto

    /// Whether lines are JSON.
    package func isJSON(onTerminal: Bool) -> Bool {
        switch self {
        case .text: false
        case .json: true
        case .auto: !onTerminal
        }
    }
}

/// Makes the log handlers of the process: all write whole lines to one sink.
package struct LogOutput: Sendable {
    /// Takes one line without its end; may be called by many threads at once.
    package typealias Sink = @Sendable (String) -> Void

    private let levels: LogLevels
    private let isJSON: Bool
    private let now: @Sendable () -> Date
    private let sink: Sink

    /// - Parameters:
    ///   - now: The time that lines bear.
    package init(
        configuration: DriveConfiguration.Log, onTerminal: Bool, now: @escaping @Sendable () -> Date, sink: @escaping Sink
    ) {
        levels = configuration.levels
        isJSON = configuration.format.isJSON(onTerminal: onTerminal)
        self.now = now
        self.sink = sink
    }

    /// The output to standard error.
    package static func standardError(_ configuration: DriveConfiguration.Log) -> LogOutput {
        let sink = StandardErrorSink()
        return LogOutput(configuration: configuration, onTerminal: isatty(STDERR_FILENO) == 1, now: { Date() }, sink: sink.write)
    }

    /// Makes this the log output of the process; to be called once, before the first logger is made.
    package func bootstrap(metadataProvider: Logger.MetadataProvider? = nil) {
        LoggingSystem.bootstrap(
            { label, provider in handler(label: label, metadataProvider: provider) }, metadataProvider: metadataProvider)
    }

    /// A handler for one label.
    package func handler(label: String, metadataProvider: Logger.MetadataProvider? = nil) -> any LogHandler {
        LineLogHandler(
            label: label, logLevel: levels.level(for: label), metadataProvider: metadataProvider, isJSON: isJSON, now: now, sink: sink)
    }
}

/// Writes lines to standard error, never mixed with each other.
private final class StandardErrorSink: Sendable {
    private let turn = Mutex(())

    func write(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        turn.withLock { _ in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { Foundation.write(STDERR_FILENO, $0.baseAddress, $0.count) }
                if count < 0 && errno == EINTR { continue }
                // A closed or full standard error must not stop the server: the line is lost.
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }
    }
}
