import DriveModel
import Foundation
import Testing

/// One server that trusts several issuers, and the issuers, for all tests that change neither. The reaper ends it.
struct IssuerStage: Sendable {
    /// An issuer whose key set has a key of each algorithm; the claim `role` counts.
    static let everything = "https://everything.example"
    /// An issuer for ES256 alone; its set has an RSA key too, and one for encryption.
    static let narrow = "https://narrow.example"
    /// An issuer whose set has a single key.
    static let single = "https://single.example"
    static let audience = "drive-e2e"

    /// An issuer with a PEM file.
    static func pem(_ algorithm: IssuerKey.Algorithm) -> String { "https://\(algorithm.rawValue.lowercased()).example" }

    let server: ServerProcess
    let keySets: KeySetServer
    /// The keys of ``everything``.
    let keys: [IssuerKey.Algorithm: IssuerKey]
    /// The keys of ``narrow``: the good one, one whose algorithm is not allowed, one for another use; and of ``single``.
    let narrow, foreign, encrypting, single: IssuerKey
    /// The keys of the PEM files.
    let pemKeys: [IssuerKey.Algorithm: IssuerKey]
    /// Keys that nobody trusts.
    let strangers: [IssuerKey.Algorithm: IssuerKey]

    private static let shared = Task { try await start() }

    static func get() async throws -> IssuerStage { try await shared.value }

    func client(_ token: String?) -> TestClient { TestClient(base: server.base, token: token) }

    /// A token of ``everything``.
    func token(_ subject: String, by algorithm: IssuerKey.Algorithm = .es256) throws -> HandSignedToken {
        HandSignedToken(
            issuer: Self.everything, subject: subject, audience: .string(Self.audience), key: try #require(keys[algorithm]))
    }

    func key(_ algorithm: IssuerKey.Algorithm) throws -> IssuerKey { try #require(keys[algorithm]) }

    /// A client of ``everything``'s subject.
    func client(of subject: String, role: String? = nil) async throws -> TestClient {
        var token = try token(subject)
        token.claims["role"] = role.map { .string($0) }
        return client(try await token.signed(by: key(.es256)))
    }

    private static func start() async throws -> IssuerStage {
        let data = try DataFolder.make("issuers")
        let folder = (data.path as NSString).deletingLastPathComponent
        func keys(_ name: String) async throws -> [IssuerKey.Algorithm: IssuerKey] {
            var keys: [IssuerKey.Algorithm: IssuerKey] = [:]
            for algorithm in IssuerKey.Algorithm.allCases {
                keys[algorithm] = try await .make(algorithm, id: "\(name)-\(algorithm.rawValue)", in: folder)
            }
            return keys
        }
        let (everything, pems, strangers) = (try await keys("set"), try await keys("pem"), try await keys("stranger"))
        let narrow = try await IssuerKey.make(.es256, id: "narrow", in: folder)
        let foreign = try await IssuerKey.make(.rs256, id: "foreign", in: folder)
        let encrypting = try await IssuerKey.make(.es256, id: "encrypting", in: folder)
        let single = try await IssuerKey.make(.edDSA, id: "single", in: folder)
        var forEncryption = encrypting.jwk.object ?? [:]
        forEncryption["use"] = "enc"

        let keySets = try KeySetServer()
        keySets.answer("/everything", try IssuerKey.set(everything.values.map(\.jwk)))
        keySets.answer("/narrow", try IssuerKey.set([narrow.jwk, foreign.jwk, .object(forEncryption)]))
        keySets.answer("/single", try IssuerKey.set([single.jwk]))
        keySets.answer("/strangers", try IssuerKey.set(strangers.values.map(\.jwk)))
        try await keySets.open()

        func issuer(
            _ name: String, _ source: String, _ place: String, _ algorithms: [IssuerKey.Algorithm], role: Bool = false
        ) -> JSONValue {
            var fields: [String: JSONValue] = [
                "issuer": .string(name), "audience": .string(audience), source: .string(place),
                "algorithms": .array(algorithms.map { .string($0.rawValue) }),
            ]
            if role { fields["roleClaim"] = "role" }
            return .object(fields)
        }
        var issuers = [
            issuer(Self.everything, "jwks", keySets.url("/everything"), IssuerKey.Algorithm.allCases, role: true),
            issuer(Self.narrow, "jwks", keySets.url("/narrow"), [.es256]),
            issuer(Self.single, "jwks", keySets.url("/single"), [.edDSA]),
        ]
        for (algorithm, key) in pems { issuers.append(issuer(pem(algorithm), "pemFile", key.publicPath, [algorithm])) }
        let server = try await ServerProcess.start(
            data, environment: ["DRIVE_ISSUERS": DriveJSON.text(JSONValue.array(issuers)), "DRIVE_RATE_FAILED_SIGNINS": "0"])
        return IssuerStage(
            server: server, keySets: keySets, keys: everything, narrow: narrow, foreign: foreign, encrypting: encrypting, single: single,
            pemKeys: pems, strangers: strangers)
    }
}
