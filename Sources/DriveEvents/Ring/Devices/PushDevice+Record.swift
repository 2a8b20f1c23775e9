import DriveModel

/// Which provider reaches a device.
public enum PushPlatform: String, Codable, CaseIterable, Hashable, Sendable {
    case webPush, apns, fcm
}

extension PushDevice {
    public var platform: PushPlatform {
        switch self {
        case .webPush: .webPush
        case .apns: .apns
        case .fcm: .fcm
        }
    }

    /// What tells this device from all others, whatever keys it has at the time.
    var address: String {
        switch self {
        case .webPush(let subscription): subscription.endpoint.url
        case .apns(let token): token.rawValue
        case .fcm(let token): token.rawValue
        }
    }

    /// All that is needed to send to it, as JSON text: to be sealed, never to be shown.
    var record: String {
        var writer = JSONObjectWriter()
        switch self {
        case .webPush(let subscription):
            writer.add("endpoint", subscription.endpoint.url)
            writer.add("p256dh", Base64URL.encode(subscription.publicKey))
            writer.add("auth", Base64URL.encode(subscription.authenticationSecret))
        case .apns(let token): writer.add("token", token.rawValue)
        case .fcm(let token): writer.add("token", token.rawValue)
        }
        return writer.text
    }

    /// Reads a record again; nil where it is none, or its endpoint leads where the policy does not allow any more.
    init?(_ platform: PushPlatform, record: String, policy: PushAddressPolicy) {
        guard let fields = try? DriveJSON.value([String: String].self, from: record) else { return nil }
        let device: PushDevice?
        switch platform {
        case .webPush:
            guard let endpoint = fields["endpoint"], let key = fields["p256dh"], let secret = fields["auth"] else { return nil }
            device = (try? WebPushSubscription(endpoint: endpoint, p256dh: key, auth: secret, policy: policy)).map { .webPush($0) }
        case .apns: device = fields["token"].flatMap { APNsDeviceToken($0) }.map { .apns($0) }
        case .fcm: device = fields["token"].flatMap { FCMRegistrationToken($0) }.map { .fcm($0) }
        }
        guard let device else { return nil }
        self = device
    }
}
