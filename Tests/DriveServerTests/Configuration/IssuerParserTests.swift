import Testing

@testable import DriveServer

@Suite struct IssuerParserTests {
    private static let json = """
        [{"issuer": "https://id.example", "audience": "drive", "jwks": "https://id.example/jwks", "algorithms": ["rs256", "ES256"]},
         {"issuer": "ci", "audience": "drive", "pemFile": "/ci.pem", "algorithms": "EdDSA", "roleClaim": "role"}]
        """

    @Test func issuersComeFromYAMLAndFromJSON() throws {
        let environment = try DriveConfiguration.load(environment: ["DRIVE_ISSUERS": Self.json])
        let file = try DriveConfiguration.load(environment: [:], file: (path: "f", text: "access:\n  issuers: \(Self.json)"))
        #expect(
            environment.access.issuers == [
                .init(
                    issuer: "https://id.example", audience: "drive", keys: .jwks(url: "https://id.example/jwks"),
                    algorithms: [.rs256, .es256]),
                .init(issuer: "ci", audience: "drive", keys: .pemFile(path: "/ci.pem"), algorithms: [.edDSA], roleClaim: "role"),
            ])
        #expect(environment == file)
    }

    @Test func inlinePEM() throws {
        let yaml = """
            access:
              issuers:
                - issuer: a
                  audience: b
                  algorithms: [ES256]
                  pem: |
                    -----BEGIN PUBLIC KEY-----
                    MFkw
                    -----END PUBLIC KEY-----
            """
        let issuer = try #require(DriveConfiguration.load(environment: [:], file: (path: "f", text: yaml)).access.issuers.first)
        #expect(issuer.keys == .pem(text: "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----"))
    }

    @Test(arguments: [
        ("[{audience: b, jwks: 'https://x', algorithms: RS256}]", "access.issuers[0].issuer is missing"),
        ("[{issuer: a, jwks: 'https://x', algorithms: RS256}]", "access.issuers[0].audience is missing"),
        ("[{issuer: a, audience: b, algorithms: RS256}]", "access.issuers[0] has no keys"),
        ("[{issuer: a, audience: b, jwks: 'https://x', pemFile: y, algorithms: RS256}]", "more than one source"),
        ("[{issuer: a, audience: b, jwks: 'http://x', algorithms: RS256}]", "is not a safe address"),
        ("[{issuer: a, audience: b, jwks: 'https://x'}]", "access.issuers[0].algorithms is missing"),
        ("[{issuer: a, audience: b, jwks: 'https://x', algorithms: []}]", "is empty"),
        ("[{issuer: a, audience: b, jwks: 'https://x', algorithms: [none]}]", "\"none\" is not known"),
        ("[{issuer: a, audience: b, jwks: 'https://x', algorithms: [HS256]}]", "\"HS256\" is not known"),
        ("[{issuer: a, audience: b, pemFile: x, algorithms: [RS256, ES256]}]", "is not one algorithm"),
        ("[{issuer: a, audience: b, jwks: 'https://x', algorithm: RS256}]", "did you mean algorithms?"),
        ("[{issuer: a, audience: b, pem: garbage, algorithms: RS256}]", "is not a public key"),
        ("[text]", "is not a mapping"), ("{issuer: a}", "is not a list"), ("[", "is not valid YAML"),
    ])
    func wrongIssuersAreRefused(text: String, message: String) {
        let problems = ConfigurationErrorTests.problems(environment: ["DRIVE_ISSUERS": text])
        #expect(ConfigurationError(problems: problems).description.contains(message))
    }

    @Test func everyIssuerIsCheckedAndTheLineTold() {
        let yaml = """
            access:
              issuers:
                - {issuer: a, audience: b, jwks: 'https://x', algorithms: RS256}
                - {issuer: a, audience: b, jwks: 'https://x', algorithms: RS256}
                - issuer: c
                  audience: d
                  jwks: ftp://x
                  algorithms: RS256
            """
        let problems = ConfigurationErrorTests.problems(yaml: yaml)
        #expect(problems.map(\.setting) == ["access.issuers[1].issuer", "access.issuers[2].jwks"])
        #expect(problems.map(\.origin) == [.file(path: "drive.yaml", line: 4), .file(path: "drive.yaml", line: 7)])
    }

    @Test func privateKeysAreNotRepeated() {
        let pem = "-----BEGIN PRIVATE KEY-----\\nMC4CAQ\\n-----END PRIVATE KEY-----"
        let problems = ConfigurationErrorTests.problems(
            environment: ["DRIVE_ISSUERS": "[{\"issuer\":\"a\",\"audience\":\"b\",\"pem\":\"\(pem)\",\"algorithms\":\"ES256\"}]"])
        #expect(problems.count == 1)
        #expect(!ConfigurationError(problems: problems).description.contains("MC4CAQ"))
    }
}
