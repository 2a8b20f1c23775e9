/// Writes the settings out for people.
package enum SettingsDocument {
    /// The tables of `docs/configuration.md`, one per group.
    package static func markdown() -> String {
        SettingsTable.groups.map { group in
            let head = [
                "### \(group.title)", "", "| Setting | Environment | Default | Allowed | Meaning |", "| --- | --- | --- | --- | --- |",
            ]
            return (head + group.settings.map(row)).joined(separator: "\n") + "\n"
        }
        .joined(separator: "\n")
    }

    /// The environment names with their meaning and default, for `drive serve --help`.
    package static func help() -> String {
        let width = SettingsTable.all.map(\.environment.count).max() ?? 0
        return SettingsTable.all.map { setting in
            let name = setting.environment.padded(to: width)
            let text = setting.defaultText
            let standard = text.isEmpty || text.count > 40 ? "" : " [default: \(text.filter { $0 != "`" })]"
            return "  \(name)  \(setting.documentation.filter { $0 != "`" })\(standard)"
        }
        .joined(separator: "\n")
    }

    private static func row(_ setting: any SettingDescription) -> String {
        let option = setting.option.map { ", `\($0)`" } ?? ""
        let cells = ["`\(setting.key)`\(option)", "`\(setting.environment)`", setting.defaultText, setting.allowed, setting.documentation]
        return "| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |"
    }
}

extension String {
    /// The text with blanks after it up to `width` characters.
    func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
