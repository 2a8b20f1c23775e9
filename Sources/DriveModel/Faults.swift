import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Injected faults, for tests alone (`DRIVE_FAULTS`): at a named point the process is killed, delayed, or an errno is
/// returned in place of a system call's success.
///
/// Grammar: `rule;rule…`, a rule is `point:action[@n[..m]]`. The point is a name such as `blob.rename.before`, its
/// prefix, `fsync` (all three flushes) or `any`. Actions: `kill`, `delay=5ms` (told on standard error), `errno=ENOSPC` (or `EIO`, `EMFILE`),
/// `short` (a write stops halfway). `@n` takes effect at the n-th hit of the rule alone, `@n..m` from the n-th to the m-th.
public final class Faults: Sendable {
    /// What a caller has to do after a hit that did not kill the process.
    public enum Effect: Equatable, Sendable {
        case none
        case fail(errno: Int32)
        case shortWrite
    }

    enum Action: Equatable, Sendable {
        case kill, short
        case delay(microseconds: UInt32)
        case fail(errno: Int32)
    }

    struct Rule: Equatable, Sendable {
        var point: String
        var action: Action
        var hits: ClosedRange<Int>

        func matches(_ name: String) -> Bool {
            point == "any" || name == point || name.hasPrefix(point + ".")
                || (point == "fsync"
                    && (name.hasPrefix("file.fsync") || name.hasPrefix("directory.fsync") || name.hasPrefix("database.commit"))
                    && !name.hasSuffix(".after"))
        }
    }

    public struct InvalidSpecification: Error, CustomStringConvertible {
        public let description: String
    }

    /// ENOSPC, for who must tell it from other errors.
    public static let noSpace = ENOSPC

    /// No faults.
    public static let none = Faults(rules: [])

    private let rules: [Rule]
    private let counts: Mutex<[Int]>

    init(rules: [Rule]) {
        self.rules = rules
        counts = Mutex([Int](repeating: 0, count: rules.count))
    }

    /// Reads a specification; an empty one injects nothing.
    public convenience init(specification: String) throws(InvalidSpecification) {
        var rules: [Rule] = []
        for text in specification.split(separator: ";") {
            rules.append(try Self.rule(text))
        }
        self.init(rules: rules)
    }

    /// Passes a point. Where a rule says so the process ends here, or the thread waits.
    public func hit(_ point: String) -> Effect {
        if rules.isEmpty { return .none }
        var effect = Effect.none
        for (index, rule) in rules.enumerated() where rule.matches(point) {
            let count = counts.withLock { counts in
                counts[index] += 1
                return counts[index]
            }
            guard rule.hits.contains(count) else { continue }
            switch rule.action {
            case .kill: kill(getpid(), SIGKILL)
            case .delay(let microseconds):
                tell("fault: \(point) waits\n")
                usleep(microseconds)
            case .fail(let errno): effect = .fail(errno: errno)
            case .short: effect = .shortWrite
            }
        }
        return effect
    }

    /// On standard error, so that a test knows when its fault takes effect.
    private func tell(_ line: String) {
        _ = Array(line.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    private static func rule(_ text: Substring) throws(InvalidSpecification) -> Rule {
        func invalid(_ reason: String) -> InvalidSpecification {
            InvalidSpecification(description: "DRIVE_FAULTS: `\(text)`: \(reason)")
        }
        guard let colon = text.firstIndex(of: ":") else { throw invalid("a rule is point:action[@n]") }
        let point = String(text[..<colon])
        guard !point.isEmpty else { throw invalid("the point has no name") }
        var action = text[text.index(after: colon)...]
        var hits = 1...Int.max
        if let at = action.firstIndex(of: "@") {
            let range = action[action.index(after: at)...].split(separator: "..", omittingEmptySubsequences: false)
            guard range.count <= 2, let first = range.first.flatMap({ Int($0) }), let last = range.last.flatMap({ Int($0) }), first >= 1,
                last >= first
            else { throw invalid("after @ stands a hit's number n, or n..m") }
            hits = first...last
            action = action[..<at]
        }
        if action == "kill" { return Rule(point: point, action: .kill, hits: hits) }
        if action == "short" { return Rule(point: point, action: .short, hits: hits) }
        if action.hasPrefix("delay="), action.hasSuffix("ms"), let time = UInt32(action.dropFirst(6).dropLast(2)), time <= 60_000 {
            return Rule(point: point, action: .delay(microseconds: time * 1000), hits: hits)
        }
        let errors: [Substring: Int32] = ["ENOSPC": ENOSPC, "EIO": EIO, "EMFILE": EMFILE, "EDQUOT": EDQUOT]
        if action.hasPrefix("errno="), let number = errors[action.dropFirst(6)] {
            return Rule(point: point, action: .fail(errno: number), hits: hits)
        }
        throw invalid("the action is kill, short, delay=Nms or errno=ENOSPC|EDQUOT|EIO|EMFILE")
    }
}
