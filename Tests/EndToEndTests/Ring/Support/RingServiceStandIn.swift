import DriveModel
import Foundation
import Testing

/// `Harness/ring_service_standin.py`: the RingService of another program, on this machine.
final class RingServiceStandIn: Sendable {
    /// A call that it got.
    struct Call: Decodable, Sendable {
        var method: String
        /// The values of that metadata.
        var authorization: [String]
        /// Seconds until the caller gives up; nil: never.
        var timeLeft: Double?
        var request: JSONValue
        /// The status that it got.
        var answer: String

        var user: String? { request["user_id"]?.string }
        /// Of a packet; nil for other calls.
        var type: String? { request["packet"]?["type"]?.string }
        /// Of a packet, as JSON; nil where that is none.
        var data: JSONValue? { Self.json(request["packet"]?["data"]) }
        /// Of a notification.
        var meta: JSONValue? { Self.json(request["notification"]?["meta"]) }
        var taskId: String? { (data ?? meta)?["taskId"]?.string }
        var isPacket: Bool { method == "PushWebSocketPacket" }
        var isNotification: Bool { method == "SendPushNotificationToUser" }

        private static func json(_ bytes: JSONValue?) -> JSONValue? {
            guard let bytes = bytes?.string.flatMap({ Data(base64Encoded: $0) }) else { return nil }
            return try? JSONDecoder().decode(JSONValue.self, from: bytes)
        }
    }

    static let token = "gateway-\(UUID().uuidString)"

    let port: Int
    private let program: RingProgram
    private let certificate: TLSCertificate?

    /// - Parameters:
    ///   - port: 0: any.
    ///   - certificate: it speaks TLS by this, else none.
    static func start(port: Int = 0, certificate: TLSCertificate? = nil) async throws -> RingServiceStandIn {
        let files = certificate.map { ["--certificate", $0.certificatePath, "--key", $0.keyPath] } ?? []
        let program = try RingProgram("ring_service_standin.py", ["--port", "\(port)"] + files)
        let bound = try await program.told("where it listens") { $0.first?["ready"]?["port"]?.integer }
        return RingServiceStandIn(port: Int(bound), program: program, certificate: certificate)
    }

    private init(port: Int, program: RingProgram, certificate: TLSCertificate?) {
        self.port = port
        self.program = program
        self.certificate = certificate
    }

    /// The settings of a server that calls a RingService at this port without TLS.
    static func environment(port: Int) -> [String: String] { ["RING_URL": "http://127.0.0.1:\(port)", "RING_TOKEN": token] }

    /// The settings of a server that calls it.
    var environment: [String: String] {
        guard let certificate else { return Self.environment(port: port) }
        return [
            "RING_URL": "https://127.0.0.1:\(port)", "RING_TOKEN": Self.token, "DRIVE_RING_CA_FILE": certificate.certificatePath,
        ]
    }

    /// Every call so far, in the order in which they came.
    func calls() throws -> [Call] { try Self.calls(in: program.lines()) }

    /// Every call up to the first time that there is what is wanted.
    @discardableResult
    func calls(
        _ what: String, within limit: Duration = .seconds(60), until isThere: ([Call]) throws -> Bool
    ) async throws -> [Call] {
        try await program.told(what, within: limit) { lines in
            let calls = try Self.calls(in: lines)
            return try isThere(calls) ? calls : nil
        }
    }

    /// Every call up to the first time that an event of this type of each of the tasks was taken.
    @discardableResult
    func calls(through type: String, of taskIds: [String], within limit: Duration = .seconds(60)) async throws -> [Call] {
        try await calls("\(type) of \(taskIds)", within: limit) { calls in
            let taken = Set(calls.filter { $0.answer == "OK" && $0.type == type }.compactMap(\.taskId))
            return taken.isSuperset(of: taskIds)
        }
    }

    private static func calls(in lines: [JSONValue]) throws -> [Call] {
        try lines.compactMap { $0["call"] }.map { try JSONDecoder().decode(Call.self, from: Data(DriveJSON.text($0).utf8)) }
    }

    /// A status that the next calls get.
    /// - Parameters:
    ///   - status: its name, or `HANG`: no answer.
    ///   - times: how many of them; nil: all until ``forget()``.
    ///   - method: calls of this alone; nil: of any.
    ///   - user: calls for this one alone; nil: for any.
    func answer(_ status: String, times: Int? = 1, method: String? = nil, user: String? = nil) async throws {
        var line: [String: JSONValue] = ["answer": .string(status), "times": times.map { .integer(Int64($0)) } ?? .null]
        line["method"] = method.map { .string($0) }
        line["user"] = user.map { .string($0) }
        try await say(.object(line))
    }

    /// Takes everything again.
    func forget() async throws { try await say(["forget": true]) }

    private func say(_ line: JSONValue) async throws {
        let before = try Self.taken(program.lines())
        try program.post(line)
        _ = try await program.told("that it knows") { Self.taken($0) > before ? true : nil }
    }

    private static func taken(_ lines: [JSONValue]) -> Int64 { lines.last { $0["taken"] != nil }?["taken"]?.integer ?? 0 }
}

/// Lines of a server's log, which are JSON, of this level or one of these.
func logged(_ levels: String..., in log: String) -> [String] {
    log.split(separator: "\n").map(String.init).filter { line in
        guard let entry = try? JSONDecoder().decode(JSONValue.self, from: Data(line.utf8)) else { return false }
        return levels.contains(entry["level"]?.string ?? "")
    }
}
