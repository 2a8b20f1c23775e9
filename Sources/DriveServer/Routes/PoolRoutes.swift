import DriveModel
import DriveUploads
import Foundation
import Hummingbird

/// `/pools`: everybody sees them, administrators make and edit them.
enum PoolRoutes {
    static let all: [Route] = [
        Route(.get, "/pools", .account, list),
        Route(.get, "/pools/{poolId}", .account, get),
        Route(.post, "/pools", .admin, create),
        Route(.patch, "/pools/{poolId}", .admin, update),
    ]

    @Sendable private static func list(_ call: Call) async throws -> Response {
        let pools = try await call.services.pools.list()
        return try call.reply(page: pools, total: pools.count)
    }

    @Sendable private static func get(_ call: Call) async throws -> Response {
        try call.reply(try await call.services.pools.open(try call.identifier("poolId")).pool)
    }

    @Sendable private static func create(_ call: Call) async throws -> Response {
        let body: PoolChange = try await call.json()
        guard let name = body.name else { throw DriveError(.invalidRequest, "The field name is missing.", details: ["rule": "name"]) }
        let pool = try await call.services.pools.create(name: name, path: nil, policy: body.applied(to: PoolPolicy()))
        try await call.services.audit.record(
            call.actor.entry("pool.create", "pool", pool.id.lowercaseString), in: call.services.database)
        return try call.reply(pool, status: .created)
    }

    @Sendable private static func update(_ call: Call) async throws -> Response {
        let body: PoolChange = try await call.json()
        let id = try call.identifier("poolId")
        let current = try await call.services.pools.open(id).pool
        let pool = try await call.services.pools.update(
            id, name: body.name ?? current.name, policy: body.applied(to: current.policy), makeDefault: body.isDefault ?? false)
        try await call.services.audit.record(
            call.actor.entry("pool.update", "pool", id.lowercaseString), in: call.services.database)
        return try call.reply(pool)
    }
}

/// What a pool's creation or change may set; null clears a limit.
private struct PoolChange: Decodable {
    var name: String?
    var isDefault: Bool?
    var acceptTypes: [String]?
    var allowAnonymous: Bool?
    var costMultiplier: Double?
    var maxFileSize: Int64??
    var requireRole: String??
    var defaultExpirySeconds: Int64??
    var maxOpenBytes: Int64??

    private enum CodingKeys: String, CodingKey {
        case path, name, isDefault, acceptTypes, allowAnonymous, costMultiplier, maxFileSize, requireRole, defaultExpirySeconds,
            maxOpenBytes
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        // Not ignored: who sends it would believe it.
        guard !container.contains(.path) else {
            throw DriveError(
                .invalidRequest, "A pool's folder is chosen on the server's machine: drive pools create NAME --path FOLDER.",
                details: ["rule": "path"])
        }
        name = try container.decodeIfPresent(String.self, forKey: .name)
        isDefault = try container.decodeIfPresent(Bool.self, forKey: .isDefault)
        acceptTypes = try container.decodeIfPresent([String].self, forKey: .acceptTypes)
        allowAnonymous = try container.decodeIfPresent(Bool.self, forKey: .allowAnonymous)
        costMultiplier = try container.decodeIfPresent(Double.self, forKey: .costMultiplier)
        maxFileSize = try container.patch(Int64.self, forKey: .maxFileSize).change
        requireRole = try container.patch(String.self, forKey: .requireRole).change
        defaultExpirySeconds = try container.patch(Int64.self, forKey: .defaultExpirySeconds).change
        maxOpenBytes = try container.patch(Int64.self, forKey: .maxOpenBytes).change
    }

    func applied(to policy: PoolPolicy) -> PoolPolicy {
        var policy = policy
        if let acceptTypes { policy.acceptTypes = acceptTypes }
        if let allowAnonymous { policy.allowAnonymous = allowAnonymous }
        if let costMultiplier { policy.costMultiplier = costMultiplier }
        if let maxFileSize { policy.maxFileSize = maxFileSize }
        if let requireRole { policy.requireRole = requireRole }
        if let defaultExpirySeconds { policy.defaultExpirySeconds = defaultExpirySeconds }
        if let maxOpenBytes { policy.maxOpenBytes = maxOpenBytes }
        return policy
    }
}
