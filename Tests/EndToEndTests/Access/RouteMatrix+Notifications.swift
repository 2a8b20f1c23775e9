import DriveModel
import NIOHTTP1

extension RouteMatrix {
    /// A browser's registration with some push service. The key is a point of P-256, of nobody's. Use names that nobody can have
    /// (RFC 6761), as `push.invalid`: whoever is told of something there asks no server of others.
    static func subscription(_ endpoint: String) -> JSONValue {
        [
            "platform": "webPush", "name": "matrix",
            "subscription": [
                "endpoint": .string(endpoint),
                "keys": [
                    "p256dh": "BCbvzr0O6eNKZpGH4Ys6kSKy9zOUW2Scyfn5Ien52tgSkCOL3pzHuzMNFQxncE3SWucFUgV0S28xv0BwdFhy0OY",
                    "auth": "AAAAAAAAAAAAAAAAAAAAAA",
                ],
            ],
        ]
    }

    static let notifications: [Route] = [
        Route(method: .GET, path: "/notifications", access: .caller),
        Route(method: .POST, path: "/notifications/read", access: .caller, body: #"{"upTo":0}"#),
        Route(method: .GET, path: "/notifications/preferences", access: .caller),
        Route(method: .PUT, path: "/notifications/preferences", access: .caller, body: #"{"task.cancelled":"off"}"#),
        Route(method: .GET, path: "/notifications/subscription", access: .caller),
        Route(
            method: .PUT, path: "/notifications/subscription", access: .caller,
            body: try? DriveJSON.text(subscription("https://push.invalid/matrix"))),
        Route(method: .DELETE, path: "/notifications/subscription?id={deviceId}", access: .owner),
        Route(method: .GET, path: "/notifications/vapid-key", access: .caller),
    ]
}
