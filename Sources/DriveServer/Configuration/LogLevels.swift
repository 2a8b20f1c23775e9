import Logging

/// The least level that is logged, by category: `Drive.Storage:debug,info`.
package struct LogLevels: Sendable, Equatable, CustomStringConvertible {
    /// A category, which covers the labels that equal it or begin with it and a dot, letters' case aside.
    package struct Rule: Sendable, Equatable {
        package var category: String
        package var level: Logger.Level
    }

    /// The level of labels that no rule covers.
    package var defaultLevel: Logger.Level
    package var rules: [Rule]

    static let allowed =
        "`trace`, `debug`, `info`, `notice`, `warning`, `error`, `critical` or `none`, alone or after a category: "
        + "`Drive.Storage:debug,info`"

    package init(default level: Logger.Level, rules: [Rule] = []) {
        defaultLevel = level
        self.rules = rules
    }

    /// Reads `LOG_LEVEL`; the prefix `DysonNetwork.` of a category is dropped, and .NET's names of levels are known too.
    init(_ text: String) throws(ValueRejection) {
        self.init(default: .info)
        var hasDefault = false
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let fields = part.split(separator: ":", omittingEmptySubsequences: false).map { $0.trimmingBlanks() }
            guard fields.count <= 2, let name = fields.last, !name.isEmpty else {
                throw ValueRejection(part.trimmingBlanks().isEmpty ? "has an empty part" : "has a part that is not CATEGORY:LEVEL")
            }
            guard let level = LogLevels.level(named: name) else {
                throw ValueRejection("has an unknown level, \"\(LogEscaping.visible(name))\"")
            }
            if fields.count == 1 || fields[0] == "*" || fields[0].lowercased() == "default" {
                guard !hasDefault else { throw ValueRejection("has two levels without a category") }
                (defaultLevel, hasDefault) = (level, true)
            } else {
                try add(category: fields[0], level: level)
            }
        }
    }

    private mutating func add(category: String, level: Logger.Level) throws(ValueRejection) {
        let foreign = "dysonnetwork."
        let name = category.lowercased().hasPrefix(foreign) ? String(category.dropFirst(foreign.count)) : category
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.allSatisfy({ !$0.isEmpty && !$0.contains(where: \.isWhitespace) }) else {
            throw ValueRejection("has a category that is not a dotted name, \"\(LogEscaping.visible(category))\"")
        }
        guard !rules.contains(where: { $0.category.lowercased() == name.lowercased() }) else {
            throw ValueRejection("names a category twice, \"\(LogEscaping.visible(name))\"")
        }
        rules.append(Rule(category: name, level: level))
    }

    /// The level of a logger: that of the longest category that covers its label.
    package func level(for label: String) -> Logger.Level {
        let label = label.lowercased()
        let covering = rules.filter { rule in
            let category = rule.category.lowercased()
            return label == category || label.hasPrefix(category + ".")
        }
        return covering.max { $0.category.count < $1.category.count }?.level ?? defaultLevel
    }

    /// A level by its name here or in .NET. `None` gives critical: swift-log has nothing above.
    private static func level(named name: String) -> Logger.Level? {
        switch name.lowercased() {
        case "trace", "verbose": .trace
        case "debug": .debug
        case "info", "information": .info
        case "notice": .notice
        case "warning", "warn": .warning
        case "error": .error
        case "critical", "fatal", "none": .critical
        default: nil
        }
    }

    package var description: String {
        (rules.map { "\($0.category):\($0.level)" } + ["\(defaultLevel)"]).joined(separator: ",")
    }
}
