import DriveModel
import HTTPTypes
import Hummingbird

/// `/tus`: the routes of tus 1.0.0.
enum TusRoutes {
    static let all: [Route] = [
        Route(.options, "/tus", .open, options),
        Route(.post, "/tus", .account, post),
        Route(.options, "/tus/{taskId}", .open, options),
        Route(.head, "/tus/{taskId}", .upload, TusResource.head),
        Route(.patch, "/tus/{taskId}", .upload, TusResource.patch),
        Route(.delete, "/tus/{taskId}", .upload, TusResource.delete),
        Route(.post, "/tus/{taskId}", .upload, overridden),
        Route(.put, "/tus/{taskId}", .upload, overridden),
    ]

    /// What the server can do. The version a client names does not matter here.
    @Sendable private static func options(_ call: Call) async throws -> Response {
        Response(
            status: .noContent,
            headers: [
                TusFields.version: TusProtocol.version, TusFields.extensions: TusProtocol.extensions,
                TusFields.maxSize: String(call.services.configuration.uploads.maxFileSize),
                TusFields.checksumAlgorithm: TusChecksum.names,
            ])
    }

    @Sendable private static func post(_ call: Call) async throws -> Response {
        switch TusProtocol.method(of: call.request) {
        case .post: return try await TusCollection.create(call)
        case .options: return try await options(call)
        default: throw refusal("X-HTTP-Method-Override names a method that this address does not take", allowed: [.options, .post])
        }
    }

    /// A `POST` (or `PUT`) that stands for another method, from networks that let no other one through.
    @Sendable private static func overridden(_ call: Call) async throws -> Response {
        switch TusProtocol.method(of: call.request) {
        case .head: return try await TusResource.head(call)
        case .patch: return try await TusResource.patch(call)
        case .delete: return try await TusResource.delete(call)
        case .options: return try await options(call)
        default:
            throw refusal(
                "An upload takes a POST with X-HTTP-Method-Override: PATCH, HEAD or DELETE alone",
                allowed: [.delete, .head, .options, .patch])
        }
    }

    private static func refusal(_ rule: String, allowed: [HTTPRequest.Method]) -> DriveError {
        DriveError(
            .methodNotAllowed, "\(rule).", details: ["rule": "method", "allowed": .array(allowed.map { .string($0.rawValue) })])
    }
}
