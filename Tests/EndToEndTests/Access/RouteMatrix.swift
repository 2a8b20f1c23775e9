import NIOHTTP1

/// Every route of the API, as the access tests need it.
///
/// Written by hand until the server can print its own table; only `RouteMatrix.all` is to be replaced then.
enum RouteMatrix {
    /// Who may call a route.
    enum Access: Sendable {
        /// Everybody, without a token too.
        case everybody
        /// Everybody with a token; shows the caller's own things alone.
        case caller
        /// The owner of what the path names.
        case owner
        /// Administrators.
        case administrator
    }

    /// Where workers lease and report tasks: the one place their tokens are good for.
    static let workPrefix = "/tasks/work/"

    struct Route: Sendable, CustomStringConvertible {
        var method: HTTPMethod
        /// With `RouteMatrix.names` in braces for what it names.
        var path: String
        var access: Access
        /// A body that would be taken, and its type.
        var body: String?
        var contentType = "application/json"
        /// What its protocol asks for beside the token.
        var headers: [(String, String)] = []
        /// What who may call it hears, where that is no success.
        var answer: Int?
        /// What is heard without a token.
        var anonymousAnswer = 401
        /// The answer to who may call it has no end.
        var isEndless = false

        var description: String { "\(method) \(path)" }

        func path(with names: [String: String]) -> String {
            names.reduce(path) { $0.replacing("{\($1.key)}", with: $1.value) }
        }
    }

    /// What a path may name. `taskId` is an upload in chunks, `tusId` one over tus, `streamId` one of the IETF's protocol, `customId`
    /// a Custom task that waits.
    static let names = [
        "fileId", "taskId", "tusId", "streamId", "bundleId", "poolId", "accountId", "tokenId", "customId", "batchId", "scheduleId",
        "deviceId",
    ]

    static let all: [Route] = drive + tus + resumable + tasks + work + administratorsTasks + live + notifications

    private static let drive: [Route] = [
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
        Route(method: .POST, path: "/admin/tokens", access: .administrator, body: #"{"accountId":"{accountId}","worker":{"kinds":[]}}"#),
        Route(method: .GET, path: "/admin/audit", access: .administrator),
    ]

    private static let live: [Route] = [
        Route(method: .GET, path: "/events", access: .caller, isEndless: true),
        Route(method: .GET, path: "/events?task={customId}", access: .owner, isEndless: true),
        // Whose task a filter names is looked at when the WebSocket is there.
        Route(method: .GET, path: "/ws", access: .caller, answer: 426, anonymousAnswer: 426),
    ]

    private static let tusVersion = ("Tus-Resumable", "1.0.0")
    private static let tusBytes = "application/offset+octet-stream"

    private static let tus: [Route] = [
        Route(method: .OPTIONS, path: "/tus", access: .everybody),
        Route(method: .POST, path: "/tus", access: .caller, headers: [tusVersion, ("Upload-Length", "5")]),
        Route(method: .OPTIONS, path: "/tus/{tusId}", access: .everybody),
        Route(method: .HEAD, path: "/tus/{tusId}", access: .owner, headers: [tusVersion]),
        Route(
            method: .PATCH, path: "/tus/{tusId}", access: .owner, body: "x", contentType: tusBytes,
            headers: [tusVersion, ("Upload-Offset", "0")]),
        Route(
            method: .POST, path: "/tus/{tusId}", access: .owner, body: "x", contentType: tusBytes,
            headers: [tusVersion, ("Upload-Offset", "0"), ("X-HTTP-Method-Override", "PATCH")]),
        Route(
            method: .PUT, path: "/tus/{tusId}", access: .owner, body: "x", contentType: tusBytes,
            headers: [tusVersion, ("Upload-Offset", "0"), ("X-HTTP-Method-Override", "PATCH")]),
        Route(
            method: .POST, path: "/tus/{tusId}", access: .owner, headers: [tusVersion, ("X-HTTP-Method-Override", "DELETE")]),
        Route(method: .DELETE, path: "/tus/{tusId}", access: .owner, headers: [tusVersion]),
    ]

    private static let partial = "application/partial-upload"
    private static let more = [("Upload-Offset", "0"), ("Upload-Complete", "?0")]

    private static let resumable: [Route] = [
        Route(method: .OPTIONS, path: "/uploads", access: .everybody),
        Route(method: .POST, path: "/uploads?fileName=a", access: .caller, body: "x", contentType: "application/octet-stream"),
        Route(
            method: .POST, path: "/uploads?fileName=a&bundleId={bundleId}", access: .owner, body: "x",
            contentType: "application/octet-stream"),
        Route(method: .PUT, path: "/uploads?fileName=a", access: .caller, body: "x", contentType: "application/octet-stream"),
        Route(method: .OPTIONS, path: "/uploads/{streamId}", access: .everybody),
        Route(method: .HEAD, path: "/uploads/{streamId}", access: .owner),
        Route(method: .GET, path: "/uploads/{streamId}", access: .owner),
        Route(method: .PATCH, path: "/uploads/{streamId}", access: .owner, body: "x", contentType: partial, headers: more),
        Route(
            method: .POST, path: "/uploads/{streamId}", access: .owner, body: "x", contentType: partial,
            headers: more + [("X-HTTP-Method-Override", "PATCH")]),
        Route(method: .DELETE, path: "/uploads/{streamId}", access: .owner),
    ]
}
