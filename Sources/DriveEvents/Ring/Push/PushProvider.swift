import DriveModel

/// A service that delivers notifications to devices of one kind.
public protocol PushProvider<Device>: Sendable {
    associatedtype Device: Sendable

    /// Sends one notification to one device, once (twice where a sign-in turned out to be stale). Whatever happens is an
    /// outcome; trying again later is the caller's part.
    func send(_ notification: PushNotification, to device: Device, options: PushOptions) async -> PushOutcome
}

/// A registered device, and which provider reaches it.
public enum PushDevice: Hashable, Sendable {
    case webPush(WebPushSubscription)
    case apns(APNsDeviceToken)
    case fcm(FCMRegistrationToken)
}

/// The providers that are set up.
public struct PushProviders: PushProvider {
    public var webPush: (any PushProvider<WebPushSubscription>)?
    public var apns: (any PushProvider<APNsDeviceToken>)?
    public var fcm: (any PushProvider<FCMRegistrationToken>)?

    public init(
        webPush: (any PushProvider<WebPushSubscription>)? = nil, apns: (any PushProvider<APNsDeviceToken>)? = nil,
        fcm: (any PushProvider<FCMRegistrationToken>)? = nil
    ) {
        self.webPush = webPush
        self.apns = apns
        self.fcm = fcm
    }

    /// By the device's provider; refused where that one is not set up.
    public func send(_ notification: PushNotification, to device: PushDevice, options: PushOptions) async -> PushOutcome {
        let outcome: PushOutcome? =
            switch device {
            case .webPush(let device): await webPush?.send(notification, to: device, options: options)
            case .apns(let device): await apns?.send(notification, to: device, options: options)
            case .fcm(let device): await fcm?.send(notification, to: device, options: options)
            }
        return outcome ?? .refused(reason: "not-configured")
    }
}

extension PushProvider {
    /// Builds a request, sends it, and says what came of it; what cannot be built is refused.
    func exchange(
        over transport: any PushTransport, request: () throws(PushOutcome.Failure) -> PushRequest, outcome: (PushResponse) -> PushOutcome
    ) async -> PushOutcome {
        do {
            let request = try request()
            return outcome(try await transport.send(request))
        } catch let failure as PushOutcome.Failure {
            return failure.outcome
        } catch {
            return PushOutcome(transportFailure: error)
        }
    }
}

extension PushOutcome {
    /// An outcome that is known before anything was sent.
    struct Failure: Error {
        var outcome: PushOutcome

        static let tooLarge = Failure(outcome: .refused(reason: "payload-too-large"))
        /// The library could not sign or encrypt: nothing that another attempt would change.
        static let cryptography = Failure(outcome: .refused(reason: "cryptography-failed"))
    }
}
