import Foundation
import Testing

@testable import DriveServer

@Suite struct SettingsTableTests {
    @Test func namesAreUniqueAndNoKeyIsAGroup() {
        let keys = SettingsTable.all.map(\.key)
        let names = SettingsTable.all.map(\.environment)
        #expect(Set(keys).count == keys.count)
        #expect(Set(names).count == names.count)
        #expect(SettingsTable.otherEnvironmentNames.isDisjoint(with: names))
        for key in keys { #expect(!keys.contains { $0.hasPrefix(key + ".") }) }
    }

    @Test func everySettingSaysWhatItIsFor() {
        for setting in SettingsTable.all {
            #expect(setting.documentation.hasSuffix("."))
            #expect(!setting.allowed.isEmpty)
        }
    }

    /// A default that its own parser refuses, or reads otherwise, would be a lie in the documentation.
    @Test func defaultsReadBackAsThemselves() throws {
        let described = [
            "server.publicURL", "database.url", "storage.uploadsPath", "storage.preferredRemote", "access.masterKey", "tls.redirectPort",
            "ring.vapidKeyFile", "ring.vapidSubject", "ring.url", "ring.listen", "ring.sendmail",
        ]
        for setting in SettingsTable.all where !described.contains(setting.key) {
            guard !setting.defaultText.isEmpty else { continue }
            var configuration = DriveConfiguration()
            try setting.apply(.text(setting.defaultText, line: nil), to: &configuration)
            #expect(configuration == DriveConfiguration(), "\(setting.key)")
        }
    }

    @Test func helpListsEveryName() {
        let lines = SettingsDocument.help().split(separator: "\n")
        #expect(lines.count == SettingsTable.all.count)
        for (line, setting) in zip(lines, SettingsTable.all) { #expect(line.contains(setting.environment)) }
    }

    @Test func theDocumentIsUpToDate() throws {
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../../docs/configuration.md").standardizedFileURL
        let text = try String(contentsOf: url, encoding: .utf8)
        let start = try #require(text.range(of: "<!-- settings:"))
        let begin = try #require(text[start.upperBound...].range(of: "-->\n")).upperBound
        let end = try #require(text.range(of: "<!-- /settings -->")).lowerBound
        if ProcessInfo.processInfo.environment["UPDATE_DOCS"] == "1" {
            let new = text[..<begin] + "\n" + SettingsDocument.markdown() + "\n" + text[end...]
            try String(new).write(to: url, atomically: true, encoding: .utf8)
        } else {
            #expect(text[begin..<end] == "\n" + SettingsDocument.markdown() + "\n", "run this test with UPDATE_DOCS=1")
        }
    }
}
