import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// A server that tells its people by stand-ins of the push services, and an account with devices there.
struct PushScene: Sendable {
    static let apnsToken = String(repeating: "ab", count: 32)
    /// The kind of the server's own tasks that send.
    static let taskKind = "drive.push"

    let services: PushStandIn
    let client: TestClient
    let server: ServerProcess

    static func with(_ name: String, _ body: @escaping @Sendable (PushScene) async throws -> Void) async throws {
        let services = try await PushStandIn.start()
        try await withServer(name, environment: services.environment) { server in
            try await body(try await PushScene(services: services, server: server))
        }
    }

    init(services: PushStandIn, server: ServerProcess) async throws {
        self.services = services
        self.server = server
        client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
    }

    // MARK: Devices

    /// Registers a device; fails the test where that is refused.
    @discardableResult
    func register(_ body: JSONValue, as status: Int = 201) async throws -> String {
        let reply = try await client.send(.PUT, "/notifications/subscription", json: body)
        try #require(reply.status == status, "\(reply)")
        return try #require(reply.json["id"]?.string)
    }

    @discardableResult
    func registerBrowser(_ number: Int = 0) async throws -> String {
        try await register(["platform": "webPush", "name": .string("browser \(number)"), "subscription": services.subscriptions[number]])
    }

    /// One device of Apple's, and one that Firebase reaches.
    func registerPhones() async throws {
        try await register(["platform": "apns", "token": .string(Self.apnsToken)])
        try await register(["platform": "fcm", "token": "fcm-token"])
    }

    func devices() async throws -> [JSONValue] {
        guard case .array(let devices) = try await client.get("/notifications/subscription").json else { return [] }
        return devices
    }

    /// The devices' last failures by platform, and for browsers by name; `-` where there is none.
    func failures() async throws -> [String: String] {
        let pairs = try await devices().map { device in
            (device["name"]?.string ?? device["platform"]?.string ?? "", device["lastFailure"]?.string ?? "-")
        }
        return Dictionary(pairs) { first, _ in first }
    }

    func waitForFailures(_ wanted: [String: String], within limit: Duration = .seconds(10)) async throws {
        do {
            try await eventually(within: limit, "the failures") { try await failures() == wanted }
        } catch is TimedOut {
            throw TimedOut(what: "the failures \(wanted); they are \(try await failures())")
        }
    }

    // MARK: What became of it

    func list() async throws -> [JSONValue] {
        guard case .array(let items) = try await client.get("/notifications").json else { return [] }
        return items
    }

    /// The texts that were pushed, without repetitions.
    func texts() throws -> Set<String> { Set(try services.pushes().compactMap { $0.payload?["body"]?.string }) }

    /// An administrator, who sees the tasks that send.
    func administrator() async throws -> TestClient {
        TestClient(base: server.base, token: try await server.data.token(account: "administrator", admin: true))
    }

    /// Waits until this many of the tasks that send are as wanted; all of them, then.
    @discardableResult
    func tasks(
        _ count: Int, of administrator: TestClient, within limit: Duration = .seconds(10), are wanted: String,
        _ condition: (TaskSummary) -> Bool
    ) async throws -> [TaskSummary] {
        var seen: [TaskSummary] = []
        do {
            try await eventually(within: limit, "the tasks") {
                let all: [TaskSummary] = try await administrator.get("/admin/tasks?limit=500").decode()
                seen = all.filter { $0.kind == Self.taskKind }
                return seen.filter(condition).count == count
            }
        } catch is TimedOut {
            throw TimedOut(what: "\(count) tasks to be \(wanted); they are \(seen)")
        }
        return seen
    }

    /// Lines of the log that call the operator.
    func alarms() -> Int { server.log.components(separatedBy: "notifications or mails cannot be delivered").count - 1 }
}
