import Foundation
import Logging
import Testing

@testable import DriveServer

@Suite struct ConfigurationLoadTests {
    @Test func nothingSetGivesTheDefaults() throws {
        let configuration = try DriveConfiguration.load(environment: [:])
        #expect(configuration == DriveConfiguration())
        #expect(configuration.storage.uploadsPath == nil)
        #expect(configuration.uploads.defaultChunkSize == 5_242_880)
        #expect(configuration.uploads.maxChunkSize == 16_777_216)
        #expect(configuration.threads.ioCount(processors: 2) == 16)
    }

    @Test(
        arguments: [
            (override: "1", environment: "2", file: "3", expected: 1),
            (override: nil, environment: "2", file: "3", expected: 2),
            (override: nil, environment: "", file: "3", expected: 3),
            (override: nil, environment: nil, file: "3", expected: 3),
            (override: nil, environment: nil, file: "~", expected: 8080),
            (override: "1", environment: "wrong", file: "wrong", expected: 1),
        ] as [(override: String?, environment: String?, file: String, expected: Int)])
    func layersLieOverEachOther(row: (override: String?, environment: String?, file: String, expected: Int)) throws {
        let configuration = try DriveConfiguration.load(
            overrides: row.override.map { ["server.port": $0] } ?? [:], environment: row.environment.map { ["DRIVE_PORT": $0] } ?? [:],
            file: (path: "drive.yaml", text: "server:\n  port: \(row.file)\n"))
        #expect(configuration.server.port == row.expected)
    }

    @Test func theSpecsOwnVariablesWork() throws {
        let pool = "550e8400-e29b-41d4-a716-446655440000"
        let configuration = try DriveConfiguration.load(environment: [
            "STORAGE_UPLOADS_PATH": "/tmp/uploads", "STORAGE_PREFERRED_REMOTE": pool, "UPLOAD_DEFAULT_CHUNK_SIZE": "5242880",
            "UPLOAD_MAX_CHUNK_SIZE": "16777216", "UPLOAD_STALE_THRESHOLD_HOURS": "12", "UPLOAD_CLEANUP_INTERVAL_MINUTES": "5",
            "UPLOAD_CACHE_DURATION_MINUTES": "30", "LOG_LEVEL": "DysonNetwork.Drive.Storage:Debug",
        ])
        #expect(configuration.storage.uploadsPath == "/tmp/uploads")
        #expect(configuration.storage.preferredRemote == UUID(uuidString: pool))
        #expect(configuration.uploads.staleThreshold == .seconds(12 * 3600))
        #expect(configuration.uploads.cleanupInterval == .seconds(300))
        #expect(configuration.uploads.cacheDuration == .seconds(1800))
        #expect(configuration.log.levels.level(for: "Drive.Storage") == .debug)
        #expect(configuration.warnings.isEmpty)
    }

    @Test func anEmptyVariableEmptiesWhatMayBeEmpty() throws {
        let configuration = try DriveConfiguration.load(
            environment: ["DATABASE_URL": "", "DRIVE_CORS_HEADERS": "", "DRIVE_DATA": " "],
            file: (path: "f", text: "data: /srv\ndatabase: {url: 'postgres://db/drive'}"))
        #expect(configuration.database.url == nil)
        #expect(configuration.cors.allowedHeaders.isEmpty)
        #expect(configuration.dataFolder == "/srv")
    }

    @Test(arguments: [("0", nil), ("unlimited", nil), ("1GiB", 1 << 30), ("5", 5)] as [(String, Int64?)])
    func quotas(text: String, expected: Int64?) throws {
        #expect(try DriveConfiguration.load(environment: ["DRIVE_QUOTA": text]).quota.defaultBytes == expected)
    }

    @Test func listsComeFromTextAndFromYAML() throws {
        let text = try DriveConfiguration.load(environment: ["DRIVE_TRUSTED_PROXIES": "10.0.0.0/8, ::1"])
        let yaml = try DriveConfiguration.load(
            environment: [:], file: (path: "f", text: "server:\n  trustedProxies:\n    - 10.0.0.0/8\n    - '::1'\n"))
        #expect(text.server.trustedProxies == ["10.0.0.0/8", "::1"])
        #expect(text == yaml)
    }

    @Test func unknownEnvironmentNamesWarn() throws {
        let configuration = try DriveConfiguration.load(environment: [
            "DRIVE_PROT": "s3cret", "DRIVE_TOKEN": "x", "UPLOAD_MAX_CHUNKSIZE": "1", "HOME": "/root",
        ])
        #expect(configuration.warnings.map(\.setting) == ["DRIVE_PROT", "UPLOAD_MAX_CHUNKSIZE"])
        #expect(configuration.warnings.map(\.suggestion) == ["DRIVE_PORT", "UPLOAD_MAX_CHUNK_SIZE"])
        #expect(!configuration.warnings.map(\.description).joined().contains("s3cret"))
    }

    @Test func faultsWarn() throws {
        let configuration = try DriveConfiguration.load(environment: ["DRIVE_FAULTS": "fsync:delay=5ms"])
        #expect(configuration.faults == "fsync:delay=5ms")
        #expect(configuration.warnings.map(\.setting) == ["faults"])
    }

    @Test func secretsAreNotPrinted() throws {
        let key = "azN5azN5azN5azN5azN5azN5azN5azN5azN5azN5azM="
        let configuration = try DriveConfiguration.load(environment: [
            "DRIVE_MASTER_KEY": key, "DATABASE_URL": "postgres://me:passw0rd@db/drive",
        ])
        #expect(configuration.access.masterKey?.value == key)
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in ["\(configuration)", String(reflecting: configuration), dumped] {
            #expect(!text.contains("k3y") && !text.contains("passw0rd"))
        }
    }
}
