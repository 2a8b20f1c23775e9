import DriveModel

/// Sends to browsers by their push services (RFC 8030), encrypted so that these cannot read it.
public struct WebPushProvider: PushProvider {
    private let key: VAPIDKey
    private let tokens: VAPIDTokens
    private let policy: PushAddressPolicy
    private let transport: any PushTransport
    private let surroundings: Surroundings

    /// - Parameter policy: where endpoints may lead, checked again when the transport connects.
    public init(key: VAPIDKey, policy: PushAddressPolicy, transport: any PushTransport, surroundings: Surroundings) {
        self.key = key
        tokens = VAPIDTokens(key: key)
        self.policy = policy
        self.transport = transport
        self.surroundings = surroundings
    }

    /// What a browser takes as `applicationServerKey`.
    public var publicKey: String { key.publicKey }

    public func send(_ notification: PushNotification, to device: WebPushSubscription, options: PushOptions) async -> PushOutcome {
        await exchange(over: transport) { () throws(PushOutcome.Failure) in
            try request(notification, to: device, options: options)
        } outcome: {
            Self.outcome($0, now: surroundings.now())
        }
    }

    func request(
        _ notification: PushNotification, to device: WebPushSubscription, options: PushOptions
    ) throws(PushOutcome.Failure) -> PushRequest {
        // A subscription may have been stored under another policy.
        guard PushEndpoint(device.endpoint.url, policy: policy) != nil else {
            throw PushOutcome.Failure(outcome: .refused(reason: "address-refused"))
        }
        guard let payload = WebPushPayload.payload(notification, options: options) else { throw .tooLarge }
        let body: [UInt8]
        let authorization: String
        do {
            body = try WebPushMessage.encrypt(
                payload, publicKey: device.publicKey, authenticationSecret: device.authenticationSecret,
                fresh: WebPushMessage.Fresh(randomBytes: surroundings.randomBytes), paddedTo: WebPushPayload.paddedLength(payload.count))
            authorization = try tokens.authorization(audience: device.endpoint.origin, now: surroundings.now())
        } catch {
            throw .cryptography
        }
        var headers = [
            PushHeader("authorization", authorization),
            PushHeader("content-encoding", "aes128gcm"),
            PushHeader("content-type", "application/octet-stream"),
            PushHeader("ttl", String(options.lifetimeSeconds)),
            PushHeader("urgency", options.urgency.rawValue),
        ]
        if let key = options.collapseKey { headers.append(PushHeader("topic", CollapseKey.webPushTopic(key))) }
        return PushRequest(url: device.endpoint.url, headers: headers, body: body, destination: .untrusted(policy))
    }

    /// RFC 8030 sections 5 and 7.3, RFC 8292 section 4.2.
    static func outcome(_ response: PushResponse, now: Timestamp) -> PushOutcome {
        switch response.status {
        case 404, 410: .unregistered
        // Apple's service says why in `reason`; the others' words are prose.
        default:
            PushOutcome(
                status: response.status, reason: PushOutcome.reason(response.status, ProviderAnswer(response.body)["reason"]?.string),
                response: response, now: now)
        }
    }
}

/// What the page's service worker reads.
enum WebPushPayload {
    static func payload(_ notification: PushNotification, options: PushOptions) -> [UInt8]? {
        PayloadFitting.payload(notification, limit: WebPushMessage.maximumPlaintext) { notification in
            var writer = JSONObjectWriter()
            writer.add("id", options.id.lowercaseString)
            writer.add("topic", notification.topic)
            writer.add("title", notification.title)
            if !notification.subtitle.isEmpty { writer.add("subtitle", notification.subtitle) }
            writer.add("body", notification.body)
            if let meta = notification.metaObject { writer.add("meta", meta) }
            if let address = notification.actionURI { writer.add("actionUri", address) }
            if notification.isSilent { writer.add("isSilent", JSONValue.bool(true)) }
            return Array(writer.text.utf8)
        }
    }

    /// Whole steps of 256 bytes: the service sees one of 16 lengths.
    static func paddedLength(_ count: Int) -> Int { (count + 255) / 256 * 256 }
}
