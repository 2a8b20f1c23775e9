import DriveDatabase
import DriveModel
import Foundation

extension RingDirectory {
    // MARK: The owner's side

    /// Registers a device for an account, or again: it keeps its id then, and its keys are the new ones. Where another account
    /// had it, that one has it no more: the device has changed hands.
    ///
    /// Rows of the account that were sealed with another master key go: nothing can be sent to them, and its devices come back with
    /// other fingerprints.
    ///
    /// - Parameter name: nil keeps the one it has.
    /// - Throws: the database's error, and the library's where nothing can be sealed.
    public func register(
        _ device: PushDevice, name: String?, account: UUID
    ) async throws -> (device: RingDevice, isNew: Bool) {
        let registration = Registration(
            device: device, name: name, account: account, fingerprint: fingerprint(device), newId: surroundings.newUUID(),
            now: surroundings.now())
        return try await database.write { [self] sql in
            // Whoever registers it in the same moment is seen by the next look; a third one is no accident.
            for _ in 0..<3 {
                guard let registered = try attempt(registration, in: sql) else { continue }
                try sql.execute(
                    "DELETE FROM ring_devices WHERE account_id = $1 AND SUBSTR(token, 1, \(seal.mark.count)) <> $2",
                    [.uuid(account), .text(seal.mark)])
                return registered
            }
            throw DatabaseError(.busy, "the device is being registered")
        }
    }

    private struct Registration: Sendable {
        var device: PushDevice
        var name: String?
        var account: UUID
        var fingerprint: String
        var newId: UUID
        var now: Timestamp
    }

    /// Nil where another transaction registered the device meanwhile.
    private func attempt(_ new: Registration, in sql: any SQLSession) throws -> (device: RingDevice, isNew: Bool)? {
        let known = try sql.first(
            "SELECT id, account_id, name FROM ring_devices WHERE fingerprint = $1\(sql.dialect.forUpdate)", [.text(new.fingerprint)])
        if let known, try known.uuid("account_id") == new.account {
            let id = try known.uuid("id")
            let kept = try known.optionalText("name")
            try sql.execute(
                """
                UPDATE ring_devices SET token = $2, name = $3, registered_at = $4,
                    last_failure = CASE WHEN last_failure = $5 THEN NULL ELSE last_failure END WHERE id = $1
                """,
                [
                    .uuid(id), .text(try sealed(new.device, id: id, account: new.account)), .text(new.name ?? kept), .timestamp(new.now),
                    .text(Self.unreadable),
                ])
            return (try find(id, in: sql), false)
        }
        // An id of its own: what was on its way to the former owner's device is not for the new one.
        if let known { try sql.execute("DELETE FROM ring_devices WHERE id = $1", [.uuid(try known.uuid("id"))]) }
        let inserted = try sql.execute(
            """
            INSERT INTO ring_devices (id, account_id, platform, name, token, fingerprint, created_at, registered_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT DO NOTHING
            """,
            [
                .uuid(new.newId), .uuid(new.account), .text(new.device.platform.rawValue), .text(new.name),
                .text(try sealed(new.device, id: new.newId, account: new.account)), .text(new.fingerprint), .timestamp(new.now),
            ])
        guard inserted == 1 else { return nil }
        try sql.execute(
            """
            DELETE FROM ring_devices WHERE id IN (SELECT id FROM ring_devices WHERE account_id = $1 AND id <> $2
                ORDER BY registered_at DESC, id LIMIT 1000 OFFSET $3)
            """, [.uuid(new.account), .uuid(new.newId), .int(limits.devices - 1)])
        return (try find(new.newId, in: sql), true)
    }

    /// An account's devices, the one registered last first.
    public func devices(of account: UUID) async throws -> [RingDevice] {
        try await database.read { sql in
            try sql.query("SELECT * FROM ring_devices WHERE account_id = $1 ORDER BY registered_at DESC, id", [.uuid(account)])
                .map { try RingDevice($0) }
        }
    }

    /// Removes a device of an account; false where the account has none of this id.
    public func remove(_ id: UUID, of account: UUID) async throws -> Bool {
        try await database.write { sql in
            try sql.execute("DELETE FROM ring_devices WHERE id = $1 AND account_id = $2", [.uuid(id), .uuid(account)]) > 0
        }
    }

    /// The same for who knows the device itself, not its id.
    public func remove(_ device: PushDevice, of account: UUID) async throws -> Bool {
        let fingerprint = self.fingerprint(device)
        return try await database.write { sql in
            try sql.execute(
                "DELETE FROM ring_devices WHERE fingerprint = $1 AND account_id = $2", [.text(fingerprint), .uuid(account)]) > 0
        }
    }

    // MARK: The sender's side

    /// The device to send to; nil where it is registered no more, or its account is disabled. Whether its endpoint may be sent to still
    /// is the provider's to say. Throws `SecretSeal.Failure` where its token cannot be read.
    public func reachable(_ id: UUID) async throws -> ReachableDevice? {
        let row = try await database.read { sql in
            try sql.first(
                """
                SELECT account_id, platform, token, registered_at FROM ring_devices d WHERE id = $1
                AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = d.account_id AND a.disabled_at IS NOT NULL)
                """, [.uuid(id)])
        }
        guard let row, let platform = PushPlatform(rawValue: try row.text("platform")) else { return nil }
        let account = try row.uuid("account_id")
        let record = try seal.open(try row.text("token"), for: Self.place(id, account))
        guard let device = PushDevice(platform, record: record, policy: .any) else { throw SecretSeal.Failure.damaged }
        return ReachableDevice(id: id, account: account, device: device, registeredAt: try row.timestamp("registered_at"))
    }

    /// The provider knows the device no more.
    ///
    /// - Parameter since: when that began, or when the device that was tried was registered: one that was registered later is another.
    public func removeUnregistered(_ id: UUID, since: Timestamp) async throws -> Bool {
        try await database.write { sql in
            try sql.execute("DELETE FROM ring_devices WHERE id = $1 AND registered_at <= $2", [.uuid(id), .timestamp(since)]) > 0
        }
    }

    /// A provider took a notification for the device.
    public func noteSuccess(_ id: UUID) async throws {
        let now = surroundings.now()
        _ = try await database.write { sql in
            try sql.execute(
                "UPDATE ring_devices SET last_success_at = $2, last_failure = NULL WHERE id = $1", [.uuid(id), .timestamp(now)])
        }
    }

    /// What `noteFailure` gets where a device's token cannot be read.
    public static let unreadable = "unreadable"

    /// - Parameter reason: a short word, as in `PushOutcome`.
    public func noteFailure(_ id: UUID, reason: String) async throws {
        _ = try await database.write { sql in
            try sql.execute("UPDATE ring_devices SET last_failure = $2 WHERE id = $1", [.uuid(id), .text(reason)])
        }
    }

    // MARK: Tokens

    private func find(_ id: UUID, in sql: any SQLSession) throws -> RingDevice {
        guard let row = try sql.first("SELECT * FROM ring_devices WHERE id = $1", [.uuid(id)]) else {
            throw DatabaseError(.unexpectedResult, "a registered device has no row")
        }
        return try RingDevice(row)
    }

    private func fingerprint(_ device: PushDevice) -> String { seal.fingerprint(device.platform.rawValue + " " + device.address) }

    private func sealed(_ device: PushDevice, id: UUID, account: UUID) throws -> String {
        try seal.seal(device.record, for: Self.place(id, account))
    }

    private static func place(_ id: UUID, _ account: UUID) -> String {
        "ring_devices \(id.lowercaseString) \(account.lowercaseString)"
    }
}
