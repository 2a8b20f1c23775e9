/// Where a value was given.
package enum ConfigurationOrigin: Sendable, Equatable, CustomStringConvertible {
    case commandLine(option: String)
    case environment(name: String)
    /// A file, with the line (from 1) where it is known.
    case file(path: String, line: Int?)
    case defaultValue

    package var description: String {
        switch self {
        case .commandLine(let option): "command line, \(option)"
        case .environment(let name): "environment, \(name)"
        case .file(let path, let line?): "\(path):\(line)"
        case .file(let path, nil): path
        case .defaultValue: "default"
        }
    }
}

/// One thing wrong (or, as a warning, odd) in the configuration: which setting, which value, from where, why, and what is allowed.
package struct ConfigurationProblem: Sendable, Equatable, CustomStringConvertible {
    /// The value at fault.
    package enum Value: Sendable, Equatable {
        case shown(String)
        /// There is a value, which is a secret.
        case hidden
        /// The fault is not one of a value.
        case none
    }

    /// The setting's key, or the unknown name.
    package var setting: String
    package var value: Value
    package var origin: ConfigurationOrigin
    /// What is wrong, to be read after the value: `is not a whole number`.
    package var reason: String
    /// What would be right; nil where the reason says it.
    package var allowed: String?
    /// The known name nearest to an unknown one.
    package var suggestion: String?

    package init(
        setting: String, value: Value = .none, origin: ConfigurationOrigin, reason: String, allowed: String? = nil,
        suggestion: String? = nil
    ) {
        self.setting = setting
        self.value = value
        self.origin = origin
        self.reason = reason
        self.allowed = allowed
        self.suggestion = suggestion
    }

    /// One line; values are shortened, and their control characters escaped.
    package var description: String {
        let subject =
            switch value {
            case .shown(let text): "\(LogEscaping.visible(setting)): \"\(ConfigurationProblem.shortened(text))\""
            case .hidden: "\(LogEscaping.visible(setting)): the value (not shown)"
            case .none: LogEscaping.visible(setting)
            }
        let rest = [allowed.map { "Allowed: \($0)." }, suggestion.map { "Did you mean \($0)?" }].compactMap { $0 }
        return (["\(subject) \(reason) (\(origin))."] + rest).joined(separator: " ")
    }

    private static func shortened(_ text: String) -> String {
        let visible = LogEscaping.visible(text)
        return visible.count <= 80 ? visible : visible.prefix(77) + "..."
    }
}

/// Everything wrong in the configuration, in the order of the settings.
package struct ConfigurationError: Error, Equatable, CustomStringConvertible {
    package var problems: [ConfigurationProblem]

    package init(problems: [ConfigurationProblem]) {
        self.problems = problems
    }

    /// A headline, and one line per problem.
    package var description: String {
        let headline = problems.count == 1 ? "The configuration has an error:" : "The configuration has \(problems.count) errors:"
        return ([headline] + problems.map { "  \($0)" }).joined(separator: "\n")
    }
}
