import DriveDatabase
import DriveEvents
import DriveModel

/// The key for Web Push where the operator gives none: made once for all instances, and kept sealed in the database, because
/// every subscription is bound to it.
struct VAPIDKeyKeeper: Sendable {
    private static let name = "ring.vapidKey"
    private static let place = "instance_settings ring.vapidKey"

    private let database: any Database
    private let seal: SecretSeal

    init(database: any Database, masterKey: MasterKey, surroundings: Surroundings) {
        self.database = database
        seal = SecretSeal(masterKey: masterKey.bytes, keyId: masterKey.id, purpose: "ring vapid", surroundings: surroundings)
    }

    /// Where several instances make one at once, all get the same.
    ///
    /// - Throws: `SecretSeal.Failure` where it was sealed with another master key; the database's error.
    func loadOrCreate() async throws -> String {
        let fresh = try seal.seal(VAPIDKey.generatePrivateKey(), for: Self.place)
        let sealed = try await database.write { sql in
            try sql.execute(
                "INSERT INTO instance_settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
                [.text(Self.name), .text(fresh)])
            return try sql.first("SELECT value FROM instance_settings WHERE name = $1", [.text(Self.name)])?.text("value")
        }
        return try seal.open(sealed ?? "", for: Self.place)
    }
}
