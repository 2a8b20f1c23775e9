import Foundation
import Testing

/// How commands end where something around them is wrong.
@Suite struct CommandEndTests {
    private static func shell(_ script: String) async throws -> CommandResult {
        try await DriveCommand.run(["-c", script, DriveCommand.executable], program: "bash")
    }

    /// `drive … | head`: the reader has seen enough.
    @Test func aReaderThatHasGoneIsNoError() async throws {
        // The substituted process is gone before the first line is written.
        let result = try await Self.shell(#"exec 3> >(exec true); wait $!; "$0" serve --settings >&3"#)
        #expect(result.exit == .exited(0) || result.exit == .exited(128 + SIGPIPE), "\(result.exit)")
        #expect(result.errors.isEmpty, "\(result.errors)")
    }

    @Test func anAnswerThatCannotBeWrittenIsAnError() async throws {
        let result = try await Self.shell(#""$0" serve --settings > /dev/full"#)
        #expect(result.exit == .exited(66), "\(result.exit)")
        #expect(result.errors.contains("standard output: No space left on device"), "\(result.errors)")
    }

    /// A name that would colour the terminal, or turn its text around.
    @Test func aNameFromAnywhereDoesNothingToTheTerminal() async throws {
        let result = try await DriveCommand.run(
            ["upload", "/nowhere/\u{1B}[31mred\u{202E}txt\u{7}"], environment: ["DRIVE_TOKEN": "x", "DRIVE_SERVER": "http://127.0.0.1:1"])
        #expect(result.exit == .exited(66), "\(result.exit)")
        #expect(result.errors.contains("red"))
        #expect(!result.errors.unicodeScalars.contains { [0x1B, 0x202E, 7].contains($0.value) }, "\(result.errors.debugDescription)")
    }

    @Test(arguments: [("--chunk-size", "5zz"), ("--patience", "soon"), ("--expires", "never")])
    func aValueThatCannotBeReadIsNamed(option: String, value: String) async throws {
        let result = try await DriveCommand.run(["upload", "x", option, value])
        #expect(result.exit == .exited(64), "\(result.exit)")
        #expect(result.errors.contains("\(option) is \"\(value)\""), "\(result.errors)")
    }

    @Test(arguments: [["serve"], ["check"], ["token", "list"], ["account", "list"], ["pools", "list"]])
    func aWrongSettingEndsEveryCommandAlike(_ command: [String]) async throws {
        let folder = try TemporaryFolder.make("wrong-setting")
        defer { TemporaryFolder.remove(folder) }
        let result = try await DriveCommand.run(command + ["--data", folder], environment: ["DRIVE_PORT": "x"])
        #expect(result.exit == .exited(78), "\(command): \(result.exit)")
        #expect(result.output.isEmpty)
        #expect(result.errors.hasPrefix("drive: ") && result.errors.contains("DRIVE_PORT"), "\(result.errors)")
    }
}
