import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// A server that other programs call over its RingService, and such a program.
struct RingStage: Sendable {
    let server: ServerProcess
    let port: Int
    let caller: RingCaller

    static func with(
        _ name: String, environment: [String: String] = [:], sourceLocation: SourceLocation = #_sourceLocation,
        _ body: @escaping @Sendable (RingStage) async throws -> Void
    ) async throws {
        let port = try LoopbackPort.free(1)[0]
        let settings = RingCaller.environment(port: port).merging(environment) { $1 }
        try await withServer(name, environment: settings, sourceLocation: sourceLocation) { server in
            try await body(RingStage(server: server, port: port, caller: RingCaller.connected(port: port)))
            for token in [RingCaller.token, RingServiceStandIn.token] {
                #expect(!server.log.contains(token), "a token in the log", sourceLocation: sourceLocation)
            }
        }
    }

    func client(_ account: String) async throws -> TestClient {
        TestClient(base: server.base, token: try await server.data.token(account: account))
    }

    /// The entries of the audit log with this action, by the RingService, the newest first.
    func audited(_ action: String) async throws -> [JSONValue] {
        let admin = TestClient(base: server.base, token: try await server.data.token(account: "auditor", admin: true))
        guard case .array(let entries) = try await admin.get("/admin/audit?action=\(action)&limit=100").json else { return [] }
        return entries.filter { $0["requestId"] == "ring" && $0["address"] == "127.0.0.1" && $0["accountId"] ?? .null == .null }
    }

    // MARK: Who hears what

    /// A WebSocket of an account, and maybe of a device.
    func socket(_ client: TestClient, device: String? = nil, since: Int64? = nil) async throws -> RingListener {
        try await RingListener.open(client, device: device, since: since)
    }

    /// What each was told since the last time: reads up to a packet that is sent to all of them for that.
    func heard(_ listeners: RingListener..., sourceLocation: SourceLocation = #_sourceLocation) async throws -> [[RingListener.Packet]] {
        let end = "marker.\(UUID().uuidString.lowercased())"
        let users = Set(listeners.map(\.user)).sorted().map { JSONValue.string($0) }
        try await caller.taken(
            "PushWebSocketPacketToUsers", ["user_ids": .array(users), "packet": ringPacket(end, [:])], sourceLocation: sourceLocation)
        var heard: [[RingListener.Packet]] = []
        for listener in listeners { heard.append(try await listener.packets(before: end)) }
        return heard
    }
}

/// A WebSocket that shows packets with what they have beside an event's members.
struct RingListener: Sendable {
    struct Packet: Hashable, Sendable {
        var type: String
        var data: JSONValue
        var errorMessage: String?
        var sequence: Int64?
    }

    let user: String
    let live: LiveSocket

    static func open(_ client: TestClient, device: String? = nil, since: Int64? = nil) async throws -> RingListener {
        let options = [device.map { "deviceId=\($0)" }, since.map { "since=\($0)" }].compactMap(\.self)
        let query = options.isEmpty ? "" : "?" + options.joined(separator: "&")
        let live = try await LiveSocket.open(client.port, "/ws\(query)", token: client.token)
        try await live.begin(as: since == nil ? "now" : "resumed")
        return RingListener(user: try client.ringUser, live: live)
    }

    /// The next packet. Throws `LiveClosed`, `TimedOut`.
    func next(within limit: Duration = .seconds(20)) async throws -> Packet {
        let deadline = ContinuousClock.now + limit
        while true {
            let frame = try await live.frame(within: deadline - .now)
            switch frame.opcode {
            case LiveFrame.text:
                let packet = try JSONDecoder().decode([String: JSONValue].self, from: Data(frame.payload))
                return Packet(
                    type: packet["type"]?.string ?? "", data: packet["data"] ?? .null, errorMessage: packet["error_message"]?.string,
                    sequence: packet["sequence"]?.integer)
            case LiveFrame.ping: await live.send(LiveFrame(opcode: LiveFrame.pong, payload: frame.payload))
            case LiveFrame.close: throw frame.closing
            default: continue
            }
        }
    }

    /// The next packets, up to the first of this type, which is not among them.
    func packets(before type: String) async throws -> [Packet] {
        let deadline = ContinuousClock.now + .seconds(30)
        var packets: [Packet] = []
        while true {
            let packet = try await next(within: deadline - .now)
            if packet.type == type { return packets }
            packets.append(packet)
        }
    }

    /// Closes as a browser does.
    func close() async throws {
        await live.send(LiveFrame(opcode: LiveFrame.close, payload: [0x03, 0xE8]))
        _ = try await live.closed()
    }
}

extension TestClient {
    /// How a RingService calls the person of our own token: by the account's id.
    var ringUser: String {
        get throws { try #require(token.flatMap { HandSignedToken($0)?.account }).lowercased() }
    }

    /// Registers a device; fails the test where that is refused.
    func registerDevice(
        _ subscription: JSONValue = RouteMatrix.subscription("https://push.invalid/\(UUID().uuidString)"),
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> String {
        let reply = try await send(.PUT, "/notifications/subscription", json: subscription)
        try #require(reply.status == 201, "\(reply)", sourceLocation: sourceLocation)
        return try #require(reply.json["id"]?.string, sourceLocation: sourceLocation)
    }

    /// The list of past notifications, the newest first.
    func pastNotifications() async throws -> [JSONValue] {
        guard case .array(let items) = try await get("/notifications?limit=500").json else { return [] }
        return items
    }
}
