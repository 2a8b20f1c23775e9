import DriveModel
import DriveTasks
import DriveUploads
import Foundation
import Hummingbird

/// `/bundles`: named groups of files.
enum BundleRoutes {
    static let all: [Route] = [
        Route(.post, "/bundles", .account, create),
        Route(.get, "/bundles", .account, list),
        Route(.get, "/bundles/{bundleId}", .account, get),
        Route(.patch, "/bundles/{bundleId}", .account, update),
        Route(.delete, "/bundles/{bundleId}", .account, delete),
    ]

    private struct CreateRequest: Decodable {
        var name: String
        var description: String?
        var expiredAt: Timestamp?
    }

    private struct Change: Decodable {
        var name: String?
        var description: String??
        var expiredAt: Timestamp??

        private enum CodingKeys: String, CodingKey {
            case name, description, expiredAt
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            name = try container.decodeIfPresent(String.self, forKey: .name)
            description = try container.patch(String.self, forKey: .description).change
            expiredAt = try container.patch(Timestamp.self, forKey: .expiredAt).change
        }
    }

    @Sendable private static func create(_ call: Call) async throws -> Response {
        let body: CreateRequest = try await call.json()
        return try call.reply(
            try await call.services.bundles.create(
                name: body.name, description: body.description, expiredAt: body.expiredAt, by: try call.caller), status: .created)
    }

    @Sendable private static func list(_ call: Call) async throws -> Response {
        let page = try await call.services.bundles.list(
            account: try call.account, offset: try call.query("offset", default: 0, in: 0...10_000_000),
            limit: try call.query("limit", default: 50, in: 1...500))
        return try call.reply(page: page.items, total: page.total)
    }

    @Sendable private static func get(_ call: Call) async throws -> Response {
        try call.reply(try await call.services.bundles.bundle(try call.identifier("bundleId"), account: try call.account))
    }

    @Sendable private static func update(_ call: Call) async throws -> Response {
        let change: Change = try await call.json()
        return try call.reply(
            try await call.services.bundles.update(
                try call.identifier("bundleId"), name: change.name, description: change.description, expiredAt: change.expiredAt,
                by: try call.caller))
    }

    @Sendable private static func delete(_ call: Call) async throws -> Response {
        try await call.services.bundles.delete(
            try call.identifier("bundleId"), withFiles: try call.query("withFiles", default: false), by: try call.caller)
        return Response(status: .noContent)
    }
}
