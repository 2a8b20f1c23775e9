import Crypto
import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Synchronization
import Testing

@testable import DriveEvents

/// Ring over a database of its own, with a queue of pushes that is a table of the same database: what a transaction
/// enqueued stays or goes with it.
struct RingSite: Sendable {
    let database: any Database
    let directory: RingDirectory
    let clock: ManualClock

    static func with(
        _ engine: Engine, hasGateway: Bool = false, _ change: (inout RingDirectory.Limits) -> Void = { _ in },
        _ body: (RingSite) async throws -> Void
    ) async throws {
        var limits = RingDirectory.Limits()
        change(&limits)
        try await engine.with { [limits] database in
            _ = try await database.write { sql in
                try sql.execute(
                    "CREATE TABLE test_pushes (device VARCHAR(40), notification VARCHAR(40), sequence VARCHAR(20), body VARCHAR(9999))")
            }
            let clock = ManualClock()
            let surroundings = clock.surroundings
            let directory = RingDirectory(
                database: database, seal: .sample(surroundings: surroundings), policy: .publicInternet, limits: limits,
                hasGateway: hasGateway, surroundings: surroundings)
            try await body(RingSite(database: database, directory: directory, clock: clock))
        }
    }

    static let enqueue: EnqueuePushes = { pushes, sql in
        for push in pushes {
            try sql.execute(
                "INSERT INTO test_pushes (device, notification, sequence, body) VALUES ($1, $2, $3, $4)",
                [
                    .text(push.device.lowercaseString), .text(push.options.id.lowercaseString),
                    .text(String(push.notification.meta?["sequence"]?.integer ?? 0)), .text(push.notification.body),
                ])
        }
    }

    /// What the queue calls the gateway.
    static let gateway = UUID(uuid: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1))

    struct Enqueued: Hashable, Comparable {
        var device: UUID
        var sequence: Int64

        static func < (left: Enqueued, right: Enqueued) -> Bool {
            (left.sequence, left.device.uuidString) < (right.sequence, right.device.uuidString)
        }
    }

    /// What was enqueued, in the order of the events.
    func pushes() async throws -> [Enqueued] {
        try await database.read { sql in
            try sql.query("SELECT device, sequence FROM test_pushes").map {
                Enqueued(device: try $0.uuid("device"), sequence: try $0.int64("sequence"))
            }
        }.sorted()
    }

    /// The bodies of what was enqueued, in no order.
    func bodies() async throws -> [String] {
        try await database.read { sql in try sql.query("SELECT body FROM test_pushes").map { try $0.text("body") } }
    }

    func send(_ events: [DriveEvent], to account: UUID, at time: Timestamp? = nil) async throws {
        let now = time ?? clock.now
        try await database.write { try EventOutbox.append(events, account: account, now: now, in: $0) }
    }

    /// A packet that another program pushed: no event of Drive's own, though it is called like one.
    func sendPacket(to account: UUID) async throws {
        let now = clock.now
        let packet = OutboxEvent(account: account, type: "task.completed", taskId: nil, data: #"{"name":"packet"}"#, relay: "{}")
        try await database.write { try EventOutbox.append([packet], now: now, in: $0) }
    }

    func register(_ account: UUID, _ number: Int = 1) async throws -> RingDevice {
        try await directory.register(.fcm(try .sample(number)), name: nil, account: account).device
    }

    func list(_ account: UUID) async throws -> [PastNotification] {
        try await directory.notifications(of: account, unreadOnly: false, offset: 0, limit: 500).items
    }

    func cursor(_ account: UUID) async throws -> Int64? {
        try await database.read { sql in
            try sql.first("SELECT sequence FROM ring_cursors WHERE account_id = $1", [.uuid(account)])?.int64("sequence")
        }
    }
}

extension RingPush {
    /// The device's id, or the one by which a test's queue calls the gateway.
    var device: UUID {
        switch target {
        case .device(let id): id
        case .gateway: RingSite.gateway
        }
    }
}

extension SecretSeal {
    static func sample(_ byte: UInt8 = 7, id: String = "0badc0de", purpose: String = "ring devices", surroundings: Surroundings = .system)
        -> SecretSeal
    {
        SecretSeal(masterKey: [UInt8](repeating: byte, count: 32), keyId: id, purpose: purpose, surroundings: surroundings)
    }
}

extension FCMRegistrationToken {
    static func sample(_ number: Int) throws -> FCMRegistrationToken { try #require(FCMRegistrationToken("token-\(number)")) }
}

extension WebPushSubscription {
    /// With new keys each time.
    static func sample(_ endpoint: String) throws -> WebPushSubscription {
        try WebPushSubscription(
            endpoint: endpoint, p256dh: Base64URL.encode(P256.KeyAgreement.PrivateKey().publicKey.x963Representation),
            auth: Base64URL.encode(Surroundings.system.randomBytes(16)), policy: .publicInternet)
    }
}

extension DriveEvent {
    static func completed(_ name: String) -> DriveEvent {
        DriveEvent(type: "task.completed", taskId: name, data: ["taskId": .string(name), "name": .string(name), "type": "BulkOperation"])
    }

    static func uploaded(_ name: String) -> DriveEvent {
        DriveEvent(
            type: "task.completed", taskId: name,
            data: ["taskId": .string(name), "name": "Upload File", "type": "FileUpload", "results": ["fileName": .string(name)]])
    }

    static func step(_ name: String) -> DriveEvent {
        DriveEvent(type: "task.progress", taskId: name, data: ["taskId": .string(name), "type": "BulkOperation", "progress": 10])
    }
}
