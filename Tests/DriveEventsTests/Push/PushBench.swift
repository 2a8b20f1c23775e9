import Crypto
import CryptoExtras
import DriveModel
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import DriveEvents

/// A time that the test moves.
final class PushClock: Sendable {
    private let time: Mutex<Timestamp>

    init(_ seconds: Int64 = 1_800_000_000) {
        time = Mutex(Timestamp(seconds: seconds))
    }

    var now: Timestamp { time.withLock { $0 } }

    func advance(by duration: Duration) {
        time.withLock { $0 = $0 + duration }
    }

    /// This time, and random bytes that follow from a seed.
    func surroundings(seed: UInt64 = 1) -> Surroundings {
        let generator = Mutex(SeededGenerator(seed: seed))
        return Surroundings(
            now: { self.now },
            randomBytes: { count in
                generator.withLock { generator in (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) } }
            })
    }
}

/// Answers what it was told, in turn, the last for ever, and keeps the requests.
final class ScriptedTransport: PushTransport {
    enum Step: Sendable {
        case answer(PushResponse)
        case failure(PushTransportError)

        static func status(_ status: Int, _ body: String = "", _ headers: [PushHeader] = []) -> Step {
            .answer(PushResponse(status: status, headers: headers, body: Array(body.utf8)))
        }
    }

    private let steps: Mutex<[Step]>
    private let seen = Mutex<[PushRequest]>([])
    private let gate: (@Sendable (PushRequest) async -> Void)?

    /// - Parameter gate: waited for before each answer.
    init(_ steps: Step..., gate: (@Sendable (PushRequest) async -> Void)? = nil) {
        self.steps = Mutex(steps)
        self.gate = gate
    }

    var requests: [PushRequest] { seen.withLock { $0 } }

    func send(_ request: PushRequest) async throws -> PushResponse {
        seen.withLock { $0.append(request) }
        await gate?(request)
        let step = steps.withLock { $0.count > 1 ? $0.removeFirst() : $0.first }
        switch step {
        case .answer(let response)?: return response
        case .failure(let error)?: throw error
        case nil: throw PushTransportError.unreachable
        }
    }
}

/// A JSON Web Token taken apart, and its signature checked, by RFC 7515 alone.
struct ReadToken {
    let header: [String: JSONValue]
    let claims: [String: JSONValue]
    private let input: Data
    private let signature: Data

    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, let header = Self.bytes(parts[0]), let claims = Self.bytes(parts[1]), let signature = Self.bytes(parts[2]),
            let head = try? JSONDecoder().decode([String: JSONValue].self, from: header),
            let body = try? JSONDecoder().decode([String: JSONValue].self, from: claims)
        else { return nil }
        self.header = head
        self.claims = body
        self.signature = signature
        input = Data("\(parts[0]).\(parts[1])".utf8)
    }

    /// Base64url by Foundation's own decoder; nil where there is padding or a character of the other alphabet.
    static func bytes(_ text: String) -> Data? {
        guard !text.contains(where: { "+/=".contains($0) }) else { return nil }
        let standard = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        return Data(base64Encoded: standard + String(repeating: "=", count: (4 - standard.count % 4) % 4))
    }

    func isSigned(es256 key: P256.Signing.PublicKey) -> Bool {
        guard header["alg"] == "ES256", let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
        return key.isValidSignature(signature, for: input)
    }

    func isSigned(rs256 key: _RSA.Signing.PublicKey) -> Bool {
        header["alg"] == "RS256"
            && key.isValidSignature(_RSA.Signing.RSASignature(rawRepresentation: signature), for: input, padding: .insecurePKCS1v1_5)
    }
}

extension PushRequest {
    /// The value of the one field of this name; nil where there is none, or more than one.
    func header(_ name: String) -> String? {
        let values = headers.filter { $0.name == name }
        return values.count == 1 ? values[0].value : nil
    }

    /// The body as a JSON object.
    var object: [String: JSONValue] { (try? JSONDecoder().decode([String: JSONValue].self, from: Data(body))) ?? [:] }
}

enum PushSamples {
    static let id = "6f1c2f3a-0d57-4a6e-9a43-0242ac120002"

    static func options(
        ttl: Duration = .seconds(3600), urgency: PushOptions.Urgency = .normal, collapseKey: String? = nil
    ) throws -> PushOptions {
        PushOptions(id: try #require(UUID(uuidString: id)), timeToLive: ttl, urgency: urgency, collapseKey: collapseKey)
    }

    static let notification = PushNotification(
        topic: "task.completed", title: "Done", subtitle: "Holiday.zip", body: "42 files are packed", meta: ["taskId": "t1", "count": 42],
        actionURI: "/tasks/t1")

    static let silent = PushNotification(topic: "sync", title: "", meta: ["cursor": "c1"], isSilent: true)

    static let apnsKey = P256.Signing.PrivateKey()

    static func apnsCredentials() throws -> APNsCredentials {
        try APNsCredentials(key: apnsKey.pemRepresentation, keyID: "ABC123DEFG", teamID: "TEAM123456", topic: "org.example.drive")
    }

    static func apnsDevice() throws -> APNsDeviceToken { try #require(APNsDeviceToken(String(repeating: "A1", count: 32))) }

    /// Made once: it takes a while.
    static let rsaKey = try? _RSA.Signing.PrivateKey(keySize: .bits2048)

    static func serviceAccountFields() throws -> [String: JSONValue] {
        [
            "type": "service_account", "project_id": "drive-test", "private_key_id": "k1",
            "private_key": .string(try #require(rsaKey).pkcs8PEMRepresentation), "client_email": "push@drive-test.iam.example",
            "token_uri": "https://oauth2.example/token", "universe_domain": "googleapis.com",
        ]
    }

    static func serviceAccount() throws -> FCMServiceAccount { try FCMServiceAccount(json: DriveJSON.text(serviceAccountFields())) }

    static func fcmDevice() throws -> FCMRegistrationToken { try #require(FCMRegistrationToken("fPq:APA91b-token_1")) }
}
