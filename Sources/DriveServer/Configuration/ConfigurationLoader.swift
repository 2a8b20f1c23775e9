extension DriveConfiguration {
    /// The configuration of four layers: command line > environment > file > default.
    ///
    /// - Parameters:
    ///   - overrides: Values of the command line, by the key of their setting (`server.port`).
    ///   - environment: The environment of the process.
    ///   - file: The YAML file, by the path to call it in messages, and its text.
    /// - Throws: Everything that is wrong, at once. Of one setting only the value that takes effect is checked.
    package static func load(
        overrides: [String: String] = [:], environment: [String: String], file: (path: String, text: String)? = nil
    ) throws(ConfigurationError) -> DriveConfiguration {
        var loader = ConfigurationLoader(overrides: overrides, environment: environment, filePath: file?.path ?? "")
        if let file { loader.read(yaml: file.text) }
        loader.checkNames()
        loader.apply()
        loader.checkRules()
        guard loader.problems.isEmpty else { throw ConfigurationError(problems: loader.problems) }
        return loader.configuration
    }
}

/// Puts the layers over each other, gathering problems.
struct ConfigurationLoader {
    private let overrides: [String: String]
    private let environment: [String: String]
    private let filePath: String
    private var fileValues: [String: ConfigurationNode] = [:]
    private var origins: [String: ConfigurationOrigin] = [:]
    private var failed: Set<String> = []
    private(set) var configuration = DriveConfiguration()
    private(set) var problems: [ConfigurationProblem] = []

    init(overrides: [String: String], environment: [String: String], filePath: String) {
        self.overrides = overrides
        self.environment = environment
        self.filePath = filePath
    }

    /// Takes the file's values apart by settings.
    mutating func read(yaml: String) {
        do {
            collect(try ConfigurationNode.parse(yaml: yaml), path: "", line: nil)
        } catch {
            let origin = ConfigurationOrigin.file(path: filePath, line: error.line)
            problems.append(ConfigurationProblem(setting: "the file", origin: origin, reason: error.reason))
        }
    }

    private mutating func collect(_ node: ConfigurationNode, path: String, line: Int?) {
        let entries: [ConfigurationNode.Entry]
        switch node {
        case .null: return
        case .mapping(let mapping, _): entries = mapping
        case .text, .list:
            let name = path.isEmpty ? "the file" : path
            let origin = ConfigurationOrigin.file(path: filePath, line: line ?? node.line)
            problems.append(
                ConfigurationProblem(setting: name, origin: origin, reason: "is a group of settings and was given a single value"))
            return
        }
        for entry in entries {
            let key = path.isEmpty ? entry.key : "\(path).\(entry.key)"
            if SettingsTable.all.contains(where: { $0.key == key }) {
                fileValues[key] = entry.value
            } else if SettingsTable.all.contains(where: { $0.key.hasPrefix(key + ".") }) {
                collect(entry.value, path: key, line: entry.line)
            } else {
                let known = SettingsTable.groupKeys + SettingsTable.all.map(\.key)
                problems.append(
                    ConfigurationProblem(
                        setting: key, origin: .file(path: filePath, line: entry.line), reason: "is not a setting",
                        suggestion: NearestName.findKey(key, in: known)))
            }
        }
    }

    /// Refuses unknown keys of the command line, and warns of unknown environment names (other programs may use the same prefixes).
    mutating func checkNames() {
        let keys = SettingsTable.all.map(\.key)
        for key in overrides.keys.sorted() where !keys.contains(key) {
            problems.append(
                ConfigurationProblem(
                    setting: key, origin: .commandLine(option: key), reason: "is not a setting",
                    suggestion: NearestName.findKey(key, in: keys)))
        }
        let names = SettingsTable.all.map(\.environment)
        let known = Set(names).union(SettingsTable.otherEnvironmentNames)
        for name in environment.keys.sorted() where !known.contains(name) {
            guard SettingsTable.watchedPrefixes.contains(where: name.hasPrefix) else { continue }
            configuration.warnings.append(
                ConfigurationProblem(
                    setting: name, origin: .environment(name: name), reason: "is not known and has no effect",
                    suggestion: NearestName.find(name, in: known.sorted())))
        }
    }

    /// Reads each setting from the highest layer that gives it.
    mutating func apply() {
        for setting in SettingsTable.all {
            guard let (node, origin) = value(of: setting) else { continue }
            origins[setting.key] = origin
            do {
                try setting.apply(node, to: &configuration)
            } catch {
                failed.insert(setting.key)
                problems += error.details.map { problem(of: setting, node: node, origin: origin, detail: $0) }
            }
        }
        if configuration.faults != nil, let origin = origins["faults"] {
            configuration.warnings.append(
                ConfigurationProblem(
                    setting: "faults", origin: origin, reason: "is set: storage fails on purpose; never use this with real data"))
        }
    }

    private func value(of setting: any SettingDescription) -> (ConfigurationNode, ConfigurationOrigin)? {
        if let text = overrides[setting.key] {
            return (.text(text, line: nil), .commandLine(option: setting.option ?? setting.key))
        }
        // `NAME=` is how compose files pass on what is not set.
        if let text = environment[setting.environment], setting.acceptsEmpty || !text.trimmingBlanks().isEmpty {
            return (.text(text, line: nil), .environment(name: setting.environment))
        }
        guard let node = fileValues[setting.key] else { return nil }
        if case .null = node { return nil }
        return (node, .file(path: filePath, line: node.line))
    }

    private func problem(
        of setting: any SettingDescription, node: ConfigurationNode, origin: ConfigurationOrigin, detail: ValueRejection.Detail
    ) -> ConfigurationProblem {
        var origin = origin
        if case .file(let path, let line) = origin { origin = .file(path: path, line: detail.line ?? line) }
        let value: ConfigurationProblem.Value =
            if setting.isSecret {
                .hidden
            } else if let part = detail.value {
                .shown(part)
            } else {
                detail.suffix.isEmpty ? .shown(node.shown) : .none
            }
        return ConfigurationProblem(
            setting: setting.key + detail.suffix, value: value, origin: origin, reason: detail.reason,
            allowed: detail.allowed ?? (detail.suffix.isEmpty ? setting.allowed : nil))
    }

    /// Checks the rules over several settings, where each of these could be read.
    mutating func checkRules() {
        for rule in ConfigurationRule.all where failed.isDisjoint(with: rule.keys) {
            guard let breach = rule.breach(configuration) else { continue }
            let key = rule.keys.first { origins[$0] != nil } ?? rule.keys.first ?? ""
            problems.append(
                ConfigurationProblem(
                    setting: key, origin: origins[key] ?? .defaultValue, reason: breach.reason, allowed: breach.allowed))
        }
    }
}
