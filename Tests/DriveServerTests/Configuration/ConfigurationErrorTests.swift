import Foundation
import Testing

@testable import DriveServer

@Suite struct ConfigurationErrorTests {
    /// The messages of a configuration that must be refused.
    static func problems(
        overrides: [String: String] = [:], environment: [String: String] = [:], yaml: String = ""
    ) -> [ConfigurationProblem] {
        do throws(ConfigurationError) {
            _ = try DriveConfiguration.load(overrides: overrides, environment: environment, file: (path: "drive.yaml", text: yaml))
            return []
        } catch {
            return error.problems
        }
    }

    @Test(arguments: [
        ("DRIVE_PORT", "80o", "is not a whole number"), ("DRIVE_PORT", "65536", "is out of range"),
        ("DRIVE_PORT", "99999999999999999999", "is out of range"), ("DRIVE_PORT", "-1", "is out of range"),
        ("DRIVE_PORT", "tcp://10.0.0.1:8080", "is not a whole number"), ("DRIVE_PUBLIC_URL", "drive.example.org", "address"),
        ("DRIVE_PUBLIC_URL", "https://a/?q", "address"), ("UPLOAD_MAX_CHUNK_SIZE", "65537", "multiple of 64KiB"),
        ("UPLOAD_MAX_CHUNK_SIZE", "32KiB", "out of range"), ("UPLOAD_MAX_CHUNK_SIZE", "16MB", "unknown unit"),
        ("UPLOAD_MAX_FILE_SIZE", "9223372036854775807TiB", "out of range"), ("UPLOAD_CLAIM_STALL", "3", "has no unit"),
        ("UPLOAD_CLAIM_STALL", "3w", "unknown unit"), ("UPLOAD_CLAIM_STALL", "soon", "is not a duration"),
        ("UPLOAD_STALE_THRESHOLD_HOURS", "0", "out of range"), ("UPLOAD_LEGACY_EVENTS", "maybe", "neither true nor false"),
        ("STORAGE_PREFERRED_REMOTE", "550e8400", "is not a UUID"), ("DRIVE_TRUSTED_PROXIES", "10.0.0.0/33", "is not a network"),
        ("DRIVE_TRUSTED_PROXIES", "::1,,::2", "is empty"), ("DRIVE_CORS_ORIGINS", "https://a.example/path", "is not an origin"),
        ("DRIVE_CORS_METHODS", "GET POST", "token"), ("LOG_LEVEL", "loud", "unknown level"), ("LOG_FORMAT", "xml", "is not known"),
        ("DRIVE_QUOTA", "lots", "is not a size"), ("DRIVE_IO_THREADS", "0", "out of range"), ("DRIVE_FAULTS", "a\u{1B}[2J", "control"),
        ("DRIVE_TLS_CERTIFICATE_FILE", "/c.pem", "is set alone"), ("DRIVE_TLS_REDIRECT_PORT", "80", "without TLS"),
        ("UPLOAD_DEFAULT_CHUNK_SIZE", "32MiB", "larger"),
    ])
    func wrongValuesAreRefused(name: String, value: String, reason: String) throws {
        let problems = ConfigurationErrorTests.problems(environment: [name: value])
        let problem = try #require(problems.first)
        #expect(problems.count == 1)
        #expect(problem.origin == .environment(name: name))
        #expect(problem.reason.contains(reason))
        #expect(problem.allowed?.isEmpty == false)
    }

    @Test func everythingIsToldAtOnceWithItsPlace() throws {
        let yaml = """
            server:
              prot: 1
              host: [a, b]
            uploads: 5
            quota:
              default: much
            """
        let problems = ConfigurationErrorTests.problems(
            overrides: ["data": ""], environment: ["DRIVE_PORT": "x"], yaml: yaml)
        let error = ConfigurationError(problems: problems)
        #expect(
            error.description == """
                The configuration has 6 errors:
                  server.prot is not a setting (drive.yaml:2). Did you mean server.port?
                  uploads is a group of settings and was given a single value (drive.yaml:4).
                  data: "" is empty (command line, --data). Allowed: a path.
                  server.host: "[a, b]" is not a single value (drive.yaml:3). Allowed: an address or a host name.
                  server.port: "x" is not a whole number (environment, DRIVE_PORT). Allowed: a whole number from 0 to 65535; \
                0: any free port.
                  quota.default: "much" is not a size (drive.yaml:6). Allowed: a size from 0 to 1024PiB, in bytes or with KiB, \
                MiB, GiB, TiB, PiB; 0: unlimited, or `unlimited`.
                """)
    }

    @Test(arguments: [
        ("a: [1", 1), ("server:\n  port: 1\n  port: 2\n", 1), ("server:\n\tport: 1\n", 2), ("- 1\n", 1), ("just text", 1),
    ])
    func aBrokenFileIsRefused(yaml: String, line: Int) throws {
        let problems = ConfigurationErrorTests.problems(yaml: yaml)
        let problem = try #require(problems.first)
        guard case .file("drive.yaml", let found) = problem.origin else {
            Issue.record("\(problem)")
            return
        }
        #expect(try #require(found) >= line)
    }

    @Test(
        arguments: [
            ("port: 1", "server.port"), ("server: {prot: 1}", "server.port"), ("servr: {port: 1}", "server"), ("zzzzzzzzz: 1", nil),
            ("acces:\n  tokenTTL: 1d", "access"), ("uploads: {maxchunksize: 1}", "uploads.maxChunkSize"),
        ] as [(String, String?)])
    func unknownKeysSuggestTheNearest(yaml: String, suggestion: String?) throws {
        let problem = try #require(ConfigurationErrorTests.problems(yaml: yaml).first)
        #expect(problem.reason == "is not a setting")
        #expect(problem.suggestion == suggestion)
    }

    @Test func unknownOverridesAreRefused() throws {
        #expect(ConfigurationErrorTests.problems(overrides: ["server.prt": "1"]).first?.suggestion == "server.port")
    }

    @Test func secretsAreNotRepeated() {
        for environment in [["DRIVE_MASTER_KEY": "sh0rt"], ["DATABASE_URL": "mysql://me:sh0rt@db"]] {
            let problems = ConfigurationErrorTests.problems(environment: environment)
            #expect(problems.map(\.value) == [.hidden])
            #expect(!ConfigurationError(problems: problems).description.contains("sh0rt"))
        }
    }

    @Test func aMasterKeyHasOneSource() {
        let problems = ConfigurationErrorTests.problems(
            environment: ["DRIVE_MASTER_KEY": Data(repeating: 7, count: 32).base64EncodedString()], yaml: "access: {masterKeyFile: /k}")
        #expect(problems.map(\.setting) == ["access.masterKey"])
        #expect(problems.first?.description.contains("kkk") == false)
    }

    @Test func credentialsNeedNamedOrigins() {
        let problems = ConfigurationErrorTests.problems(environment: ["DRIVE_CORS_ORIGINS": "*", "DRIVE_CORS_CREDENTIALS": "true"])
        #expect(problems.map(\.setting) == ["cors.credentials"])
    }

    @Test func theKeyForApplesPushServiceComesWithItsIds() {
        let all = [
            "DRIVE_RING_APNS_KEY_FILE": "/k.p8", "DRIVE_RING_APNS_KEY_ID": "ABC123DEFG", "DRIVE_RING_APNS_TEAM_ID": "TEAM123456",
            "DRIVE_RING_APNS_TOPIC": "org.example.drive",
        ]
        #expect(ConfigurationErrorTests.problems(environment: all).isEmpty)
        for name in all.keys {
            var some = all
            some[name] = nil
            #expect(ConfigurationErrorTests.problems(environment: some).count == 1, "without \(name)")
        }
    }

    @Test func valuesCannotForgeLines() {
        let value = "1\n  all is well\u{202E}" + String(repeating: "x", count: 500)
        let problems = ConfigurationErrorTests.problems(environment: ["DRIVE_PORT": value])
        let text = ConfigurationError(problems: problems).description
        #expect(text.split(separator: "\n").count == 2)
        #expect(text.contains("1\\n  all") && !text.contains("\u{202E}") && text.count < 400)
    }
}
