import Foundation
import Logging
import Synchronization
import Testing

@testable import DriveServer

@Suite struct LogOutputTests {
    /// Gathers lines.
    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        func add(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock { $0 } }
    }

    private struct Failure: Error, CustomStringConvertible {
        let description = "disk\nfull"
    }

    /// The lines that a logger with this format writes.
    private func lines(
        _ format: LogFormat, onTerminal: Bool = false, levels: LogLevels = LogLevels(default: .info), _ body: (inout Logger) -> Void
    ) -> [String] {
        let lines = Lines()
        var configuration = DriveConfiguration.Log()
        configuration.format = format
        configuration.levels = levels
        let output = LogOutput(
            configuration: configuration, onTerminal: onTerminal, now: { Date(timeIntervalSince1970: 1_700_000_000.25) }, sink: lines.add)
        var logger = Logger(label: "Drive.Storage") { output.handler(label: $0) }
        body(&logger)
        return lines.all
    }

    @Test func text() {
        let lines = lines(.text) { logger in
            logger[metadataKey: "task"] = "t1"
            logger.info("stored", metadata: ["name": "a b=\"c\"", "size": "5"])
            logger.debug("not shown")
        }
        #expect(lines == [#"2023-11-14T22:13:20.250Z info     Drive.Storage: stored name="a b=\"c\"" size=5 task=t1"#])
    }

    @Test func json() throws {
        let lines = lines(.json) { logger in
            logger.error("no \"luck\"", metadata: ["path": "C:\\x", "ids": ["1", ["two": "2"]]])
        }
        #expect(
            lines == [
                #"{"time":"2023-11-14T22:13:20.250Z","level":"error","label":"Drive.Storage","message":"no \"luck\"","#
                    + #""metadata":{"ids":["1",{"two":"2"}],"path":"C:\\x"}}"#
            ])
    }

    @Test(arguments: [
        (LogFormat.auto, true, false), (.auto, false, true), (.text, false, false), (.json, true, true),
    ])
    func theFormatFollowsTheTerminal(format: LogFormat, onTerminal: Bool, isJSON: Bool) {
        let lines = lines(format, onTerminal: onTerminal) { $0.info("x") }
        #expect(lines.map { $0.hasPrefix("{") } == [isJSON])
    }

    @Test func levelsHoldForTheLabel() {
        let levels = LogLevels(default: .error, rules: [.init(category: "drive.storage", level: .trace)])
        #expect(lines(.text, levels: levels) { $0.trace("x") }.count == 1)
    }

    @Test(arguments: ["a\r\nb", "\u{1B}[31mred", "x\u{85}y", "x\u{2028}y", "abc\u{202E}gpj", "\u{0}", "\u{7F}", "\u{E0041}"])
    func valuesCannotBreakTheLine(hostile: String) throws {
        for format in [LogFormat.text, .json] {
            let lines = lines(format) { logger in
                logger.info("got \(hostile)", metadata: ["k\(hostile)": "\(hostile)"])
            }
            let line = try #require(lines.first)
            for scalar in line.unicodeScalars {
                #expect(![.control, .format, .lineSeparator, .paragraphSeparator].contains(scalar.properties.generalCategory))
            }
            if format == .json {
                let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
                #expect(object["message"] as? String == "got \(hostile)")
                #expect((object["metadata"] as? [String: String]) == ["k\(hostile)": hostile])
            }
        }
    }

    @Test func errorsAreAField() throws {
        let lines = lines(.text) { $0.error("failed", error: Failure()) }
        #expect(try #require(lines.first).hasSuffix(#"failed error="disk\nfull""#))
    }
}
