import Foundation
import Testing

@testable import DriveServer

@Suite struct ConfigurationFileTests {
    /// Runs `body` with a fresh folder.
    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder.path)
    }

    @Test func theDataFoldersFileIsReadWhereThereIsOne() throws {
        try withFolder { folder in
            #expect(try DriveConfiguration.read(environment: ["DRIVE_DATA": folder]).server.port == 8080)
            try "server: {port: 1}".write(toFile: folder + "/drive.yaml", atomically: true, encoding: .utf8)
            #expect(try DriveConfiguration.read(environment: ["DRIVE_DATA": folder]).server.port == 1)
            #expect(try DriveConfiguration.read(overrides: ["data": folder], environment: ["DRIVE_DATA": "/nowhere"]).server.port == 1)
        }
    }

    @Test func aNamedFileComesFirstAndMustExist() throws {
        try withFolder { folder in
            try "server: {port: 1}".write(toFile: folder + "/drive.yaml", atomically: true, encoding: .utf8)
            try "server: {port: 2}".write(toFile: folder + "/other.yaml", atomically: true, encoding: .utf8)
            let environment = ["DRIVE_DATA": folder, "DRIVE_CONFIG": folder + "/other.yaml"]
            #expect(try DriveConfiguration.read(environment: environment).server.port == 2)
            #expect(try DriveConfiguration.read(configPath: folder + "/drive.yaml", environment: environment).server.port == 1)
            let missing = folder + "/missing.yaml"
            let problem = ConfigurationProblem(
                setting: "the configuration file", value: .shown(missing), origin: .commandLine(option: "--config"),
                reason: "does not exist")
            #expect(throws: ConfigurationError(problems: [problem])) {
                try DriveConfiguration.read(configPath: missing, environment: environment)
            }
        }
    }

    @Test func aFolderOrBinaryFileIsRefused() throws {
        try withFolder { folder in
            try Data([0xFF, 0xFE, 0x00]).write(to: URL(fileURLWithPath: folder + "/binary"))
            for path in [folder, folder + "/binary"] {
                #expect(throws: ConfigurationError.self) { try DriveConfiguration.read(configPath: path, environment: [:]) }
            }
        }
    }
}
