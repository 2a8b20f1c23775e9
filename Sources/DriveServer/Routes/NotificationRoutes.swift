import DriveEvents
import DriveModel
import Foundation
import HTTPTypes
import Hummingbird

/// `/notifications`: an account's devices, preferences, and past notifications.
enum NotificationRoutes {
    static let all: [Route] = [
        Route(.get, "/notifications", .account, list),
        Route(.post, "/notifications/read", .account, mark),
        Route(.get, "/notifications/preferences", .account, preferences),
        Route(.put, "/notifications/preferences", .account, setPreferences),
        Route(.get, "/notifications/subscription", .account, subscriptions),
        Route(.put, "/notifications/subscription", .account, subscribe),
        Route(.delete, "/notifications/subscription", .account, unsubscribe),
        Route(.get, "/notifications/vapid-key", .account, vapidKey),
    ]

    // MARK: Past notifications

    @Sendable private static func list(_ call: Call) async throws -> Response {
        let (offset, limit) = try call.paging
        let page = try await call.services.ring.directory.notifications(
            of: try call.account, unreadOnly: try call.query("unread", default: false), offset: offset, limit: limit)
        return try call.reply(page: page.items, total: page.total)
    }

    private static let mostMarked = 500

    @Sendable private static func mark(_ call: Call) async throws -> Response {
        let request = try await call.json(Exactly<NotificationMarkRequest>.self).value
        let selection: NotificationSelection
        switch (request.ids, request.upTo) {
        case (let ids?, nil):
            guard ids.count <= mostMarked else { throw refusal("ids", "ids names at most \(mostMarked) notifications.") }
            selection = .ids(ids)
        case (nil, let number?): selection = .upTo(number)
        default: throw refusal("ids", "Name the notifications by either ids or upTo.")
        }
        let changed = try await call.services.ring.directory.mark(selection, read: request.read ?? true, of: try call.account)
        return try call.reply(["changed": changed])
    }

    // MARK: Preferences

    @Sendable private static func preferences(_ call: Call) async throws -> Response {
        try reply(try await call.services.ring.directory.preferences(of: try call.account), to: call)
    }

    @Sendable private static func setPreferences(_ call: Call) async throws -> Response {
        let request: [String: String] = try await call.json()
        var changes: [NotificationKind: NotificationDelivery] = [:]
        for (name, word) in request.sorted(by: { $0.key < $1.key }) {
            guard let kind = NotificationKind(rawValue: name) else {
                let kinds = NotificationKind.allCases.map(\.rawValue).joined(separator: ", ")
                throw refusal(name, "There is no kind of notification \(name.prefix(64)); there are \(kinds).")
            }
            guard let delivery = NotificationDelivery(rawValue: word) else {
                throw refusal(name, "\(name) must be one of off, list, push.")
            }
            changes[kind] = delivery
        }
        return try reply(try await call.services.ring.directory.setPreferences(changes, of: try call.account), to: call)
    }

    private static func reply(_ preferences: NotificationPreferences, to call: Call) throws -> Response {
        try call.reply(Dictionary(uniqueKeysWithValues: preferences.all.map { ($0.key.rawValue, $0.value.rawValue) }))
    }

    // MARK: Devices

    @Sendable private static func subscriptions(_ call: Call) async throws -> Response {
        let devices = try await call.services.ring.directory.devices(of: try call.account)
        return try call.reply(page: devices, total: devices.count)
    }

    @Sendable private static func subscribe(_ call: Call) async throws -> Response {
        let request = try await call.json(Exactly<SubscriptionRequest>.self).value
        let ring = call.services.ring
        let platform = try request.checkedPlatform()
        guard ring.isSetUp(platform) else {
            throw DriveError(
                .notImplemented, "This server sends no notifications by \(platform.rawValue).", details: ["rule": "platform"])
        }
        let registered = try await ring.directory.register(
            try request.device(policy: ring.policy), name: try request.checkedName(), account: try call.account)
        return try call.reply(registered.device, status: registered.isNew ? .created : .ok)
    }

    @Sendable private static func unsubscribe(_ call: Call) async throws -> Response {
        guard let id = try call.queryUUID("id") else { throw refusal("id", "Name the device: ?id=….") }
        guard try await call.services.ring.directory.remove(id, of: try call.account) else {
            throw DriveError(.notFound, "There is no device with this id.", details: ["rule": "id"])
        }
        return Response(status: .noContent)
    }

    @Sendable private static func vapidKey(_ call: Call) async throws -> Response {
        guard let key = call.services.ring.vapidPublicKey else {
            throw DriveError(.notImplemented, "This server sends no notifications by webPush.", details: ["rule": "platform"])
        }
        return try call.reply(["publicKey": key])
    }

    private static func refusal(_ rule: String, _ message: String) -> DriveError {
        DriveError(.invalidRequest, message, details: ["rule": .string(String(rule.prefix(64)))])
    }
}

/// `POST /notifications/read`.
struct NotificationMarkRequest: Decodable, KnownMembers {
    var ids: [UUID]?
    /// All with this number or a smaller one.
    var upTo: Int64?
    /// nil: true.
    var read: Bool?

    static var members: Set<String> { ["ids", "upTo", "read"] }
}

/// `PUT /notifications/subscription`.
struct SubscriptionRequest: Decodable, KnownMembers {
    var platform: String
    /// What the owner calls the device.
    var name: String?
    /// For `webPush`.
    var subscription: Subscription?
    /// For `apns` and `fcm`.
    var token: String?

    static var members: Set<String> { ["platform", "name", "subscription", "token"] }

    /// As `PushSubscription.toJSON()` of a browser has it; what else it holds is passed over.
    struct Subscription: Decodable {
        struct Keys: Decodable {
            var p256dh: String
            var auth: String
        }

        var endpoint: String
        var keys: Keys
    }

    /// Throws `INVALID_REQUEST` naming the field; what the client sent is not repeated.
    func device(policy: PushAddressPolicy) throws(DriveError) -> PushDevice {
        switch try checkedPlatform() {
        case .webPush:
            guard let subscription, token == nil else { throw Self.refusal("subscription", "webPush needs a subscription, and no token.") }
            do {
                return .webPush(
                    try WebPushSubscription(
                        endpoint: subscription.endpoint, p256dh: subscription.keys.p256dh, auth: subscription.keys.auth, policy: policy))
            } catch {
                throw switch error {
                case .endpoint:
                    Self.refusal(
                        "endpoint",
                        "endpoint must be the https address of a push service on the Internet: ASCII, without user and fragment, at most 2048 bytes."
                    )
                case .p256dh: Self.refusal("p256dh", "p256dh must be a point of P-256 in base64url: 65 bytes.")
                case .auth: Self.refusal("auth", "auth must be 16 bytes in base64url.")
                }
            }
        case .apns:
            guard subscription == nil, let device = token.flatMap({ APNsDeviceToken($0) }) else {
                throw Self.refusal("token", "apns needs a token: 64 to 200 hexadecimal digits.")
            }
            return .apns(device)
        case .fcm:
            guard subscription == nil, let device = token.flatMap({ FCMRegistrationToken($0) }) else {
                throw Self.refusal("token", "fcm needs a token: at most 4096 visible characters.")
            }
            return .fcm(device)
        }
    }

    func checkedPlatform() throws(DriveError) -> PushPlatform {
        guard let known = PushPlatform(rawValue: platform) else {
            throw Self.refusal("platform", "platform must be one of webPush, apns, fcm.")
        }
        return known
    }

    func checkedName() throws(DriveError) -> String? {
        guard let name else { return nil }
        guard (1...255).contains(name.utf8.count), !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
        else {
            throw Self.refusal("name", "name has 1 to 255 bytes, and no control character.")
        }
        return name
    }

    private static func refusal(_ rule: String, _ message: String) -> DriveError {
        DriveError(.invalidRequest, message, details: ["rule": .string(rule)])
    }
}
