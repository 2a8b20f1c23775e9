import NIOHTTP1

/// Every route of the API, as the access tests need it.
///
/// Written by hand until the server can print its own table; only `RouteMatrix.all` is to be replaced then.
enum RouteMatrix {
    /// Who may call a route.
    enum Access: Sendable {
        /// Everybody with a token; shows the caller's own things alone.
        case caller
        /// The owner of what the path names.
        case owner
        /// Administrators.
        case administrator
    }

    struct Route: Sendable, CustomStringConvertible {
        var method: HTTPMethod
        /// With `{fileId}`, `{taskId}`, `{bundleId}`, `{poolId}`, `{accountId}`, `{tokenId}` for what it names.
        var path: String
        var access: Access
        /// A body that would be taken, and its type.
        var body: String?
        var contentType = "application/json"

        var description: String { "\(method) \(path)" }

        func path(with names: [String: String]) -> String {
            names.reduce(path) { $0.replacing("{\($1.key)}", with: $1.value) }
        }
    }

    static let all: [Route] = [
        Route(method: .POST, path: "/files/upload/create", access: .caller, body: #"{"fileName":"a","fileSize":0}"#),
        Route(
            method: .POST, path: "/files/upload/chunk/{taskId}/0", access: .owner, body: String(repeating: "x", count: 100),
            contentType: "application/octet-stream"),
        Route(
            method: .POST, path: "/files/upload/chunk/{taskId}/0?replace=true", access: .owner, body: String(repeating: "x", count: 100),
            contentType: "application/octet-stream"),
        Route(method: .POST, path: "/files/upload/complete/{taskId}", access: .owner),
        Route(method: .GET, path: "/files/upload/tasks", access: .caller),
        Route(method: .GET, path: "/files/upload/progress/{taskId}", access: .owner),
        Route(method: .GET, path: "/files/upload/resume/{taskId}", access: .owner),
        Route(method: .DELETE, path: "/files/upload/task/{taskId}", access: .owner),
        Route(method: .GET, path: "/files/upload/tasks/{taskId}/details", access: .owner),
        Route(method: .GET, path: "/files/upload/stats", access: .caller),
        Route(method: .DELETE, path: "/files/upload/tasks/cleanup", access: .caller),
        Route(method: .GET, path: "/files/upload/tasks/recent", access: .caller),
        Route(method: .POST, path: "/files/upload/extend/{taskId}", access: .owner),
        Route(
            method: .POST, path: "/files/upload/direct?fileName=a", access: .caller, body: "x", contentType: "application/octet-stream"),
        Route(
            method: .POST, path: "/files/upload/direct?fileName=a&bundleId={bundleId}", access: .owner, body: "x",
            contentType: "application/octet-stream"),
        Route(
            method: .POST, path: "/files/upload/create?in={bundleId}", access: .owner,
            body: #"{"fileName":"a","fileSize":0,"bundleId":"{bundleId}"}"#),
        Route(method: .GET, path: "/files/me", access: .caller),
        Route(method: .GET, path: "/files/{fileId}", access: .owner),
        Route(method: .HEAD, path: "/files/{fileId}", access: .owner),
        Route(method: .GET, path: "/files/{fileId}/info", access: .owner),
        Route(method: .PATCH, path: "/files/{fileId}", access: .owner, body: #"{"name":"stolen.txt"}"#),
        Route(method: .DELETE, path: "/files/{fileId}", access: .owner),
        Route(method: .GET, path: "/bundles", access: .caller),
        Route(method: .POST, path: "/bundles", access: .caller, body: #"{"name":"a"}"#),
        Route(method: .GET, path: "/bundles/{bundleId}", access: .owner),
        Route(method: .PATCH, path: "/bundles/{bundleId}", access: .owner, body: #"{"name":"stolen"}"#),
        Route(method: .DELETE, path: "/bundles/{bundleId}", access: .owner),
        Route(method: .GET, path: "/pools", access: .caller),
        Route(method: .GET, path: "/pools/{poolId}", access: .caller),
        Route(method: .POST, path: "/pools", access: .administrator, body: #"{"name":"mine"}"#),
        Route(method: .PATCH, path: "/pools/{poolId}", access: .administrator, body: #"{"name":"mine"}"#),
        Route(method: .GET, path: "/billing/quota", access: .caller),
        Route(method: .GET, path: "/billing/usage", access: .caller),
        Route(method: .GET, path: "/admin/accounts", access: .administrator),
        Route(method: .PATCH, path: "/admin/accounts/{accountId}", access: .administrator, body: #"{"quotaBytes":1,"disabled":true}"#),
        Route(method: .GET, path: "/admin/tokens?account={accountId}", access: .administrator),
        Route(method: .DELETE, path: "/admin/tokens/{tokenId}", access: .administrator),
        Route(method: .GET, path: "/admin/audit", access: .administrator),
    ]
}
