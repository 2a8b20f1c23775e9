import ArgumentParser
import DriveModel
import Foundation

/// Options of the command line, each with an environment variable behind it. The one place where the client commands read the environment.
struct Settings: Sendable {
    private let environment: [String: String]

    init(environment: [String: String] = ProcessInfo.processInfo.environment) {
        self.environment = environment
    }

    /// The variable's text; an empty one counts as not set.
    private func variable(_ name: String) -> String? {
        environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The option, else the variable.
    func text(_ option: String?, _ name: String) -> String? {
        option ?? variable(name)
    }

    /// The option, else the variable; the text that cannot be read is named with where it came from.
    /// - Throws: `ValidationError`.
    func value<Value>(_ option: String?, _ name: String, expecting form: String, _ read: (String) -> Value?) throws -> Value? {
        guard let text = text(option, name) else { return nil }
        guard let value = read(text) else {
            // Options are called as their variables are.
            let source =
                option == nil ? "The environment variable \(name)" : "--" + name.dropFirst(6).lowercased().replacing("_", with: "-")
            throw ValidationError("\(source) is \"\(text)\"; it should be \(form).")
        }
        return value
    }

    /// The flag, else the variable (`1`, `true`, `yes`, `on`).
    func flag(_ flag: Bool, _ name: String) throws -> Bool {
        if flag { return true }
        let value = try value(nil, name, expecting: "1 or 0") { text -> Bool? in
            switch text.lowercased() {
            case "1", "true", "yes", "on": true
            case "0", "false", "no", "off": false
            default: nil
            }
        }
        return value ?? false
    }

    /// A number of at least `minimum`.
    func number(_ option: Int?, _ name: String, minimum: Int = 0) throws -> Int? {
        try value(option.map { String($0) }, name, expecting: "a whole number of at least \(minimum)") { text in
            Int(text).flatMap { $0 >= minimum ? $0 : nil }
        }
    }

    func uuid(_ option: String?, _ name: String) throws -> UUID? {
        try value(option, name, expecting: "a UUID", UUID.init(uuidString:))
    }
}

/// Texts for sizes and spans of time, and back.
enum Quantity {
    private static let units: [(String, Int64)] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]

    /// `1.5 GiB`.
    static func text(bytes: Int64) -> String {
        for (name, size) in units where bytes >= size {
            let tenths = (Double(bytes) / Double(size) * 10).rounded(.down) / 10
            return "\(tenths) \(name)"
        }
        return "\(bytes) B"
    }

    /// Bytes of `65536`, `64K`, `5MiB`, `1g`; all units are powers of 1024.
    static func bytes(_ text: String) -> Int64? {
        let lower = text.trimmingCharacters(in: .whitespaces).lowercased()
        let digits = lower.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int64(digits), number > 0 else { return nil }
        let shifts = [
            "": 0, "b": 0, "k": 10, "kb": 10, "kib": 10, "m": 20, "mb": 20, "mib": 20, "g": 30, "gb": 30, "gib": 30, "t": 40, "tb": 40,
            "tib": 40,
        ]
        guard let shift = shifts[lower.dropFirst(digits.count).trimmingCharacters(in: .whitespaces)] else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
        return overflow ? nil : bytes
    }

    /// Seconds of `90`, `90s`, `5m`, `2h`, `30d`, `4w`.
    static func seconds(_ text: String) -> Int64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int64(digits) else { return nil }
        let factors: [String: Int64] = ["": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]
        guard let factor = factors[text.dropFirst(digits.count).lowercased()] else { return nil }
        let (seconds, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow || seconds > 100 * 366 * 86_400 ? nil : seconds
    }

    /// `2:05`, `1:02:05`.
    static func text(_ duration: Duration) -> String {
        let seconds = max(0, duration.components.seconds)
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60)
        return hours > 0 ? "\(hours):\(two(minutes)):\(two(seconds % 60))" : "\(minutes):\(two(seconds % 60))"
    }
}
