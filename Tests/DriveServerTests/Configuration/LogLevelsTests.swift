import Logging
import Testing

@testable import DriveServer

@Suite struct LogLevelsTests {
    @Test(
        arguments: [
            ("debug", "Drive.Storage", .debug), ("DEBUG", "x", .debug), ("Information", "x", .info), ("Warning", "x", .warning),
            ("Trace", "x", .trace), ("None", "x", .critical), ("Critical", "x", .critical), ("notice", "x", .notice),
            ("Drive.Storage:Debug,info", "Drive.Storage", .debug), ("Drive.Storage:Debug,info", "Drive.Storage.Blobs", .debug),
            ("Drive.Storage:Debug,info", "Drive.StorageX", .info), ("Drive.Storage:Debug,info", "Drive", .info),
            ("Drive.Storage:Debug", "Drive.Uploads", .info), ("DysonNetwork.Drive.Storage:Debug", "Drive.Storage", .debug),
            ("drive.storage:debug", "Drive.Storage", .debug), ("warning, Drive : error , Drive.Storage:trace", "Drive.Storage.X", .trace),
            ("warning, Drive : error , Drive.Storage:trace", "Drive.Tasks", .error),
            ("Drive.Storage:trace,Drive:error", "Drive.Storage", .trace),
            ("Default:error", "x", .error), ("*:error", "x", .error),
        ] as [(String, String, Logger.Level)])
    func levels(text: String, label: String, expected: Logger.Level) throws {
        #expect(try LogLevels(text).level(for: label) == expected)
    }

    @Test(arguments: [
        "", "loud", "Drive:", ":debug", "Drive:debug:info", "debug,", ",debug", "debug,info", "Drive:debug,drive:info", "Drive..X:debug",
        "Drive X:debug", "Drive=debug",
    ])
    func wrongTextsAreRefused(text: String) {
        #expect(throws: ValueRejection.self) { try LogLevels(text) }
    }

    @Test func theTextOfLevelsReadsBack() throws {
        let levels = try LogLevels("Drive.Storage:Debug,Drive:error,warn")
        #expect(try LogLevels("\(levels)") == levels)
    }
}
