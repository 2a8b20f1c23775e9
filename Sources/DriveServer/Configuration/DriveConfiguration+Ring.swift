import DriveEvents

extension DriveConfiguration {
    /// Notifications to people's devices.
    package struct Ring: Sendable, Equatable {
        /// Networks that a subscriber's Web Push endpoint may lead into.
        package enum Networks: String, Sendable, Equatable, CaseIterable {
            /// The public Internet alone.
            case `public`
            /// Private networks too.
            case `private`
            /// Loopback too, there also without TLS: for tests.
            case any

            var policy: PushAddressPolicy {
                switch self {
                case .public: .publicInternet
                case .private: PushAddressPolicy(allowsLoopback: false, allowsPrivateNetworks: true)
                case .any: .any
                }
            }
        }

        package var webPush = true
        /// Nil: generated at the first start, and kept sealed in the database.
        package var vapidKeyFile: String?
        /// Nil: the public address where that is `https`, otherwise `mailto:drive@localhost`.
        package var vapidSubject: String?
        package var networks = Networks.public
        package var apnsKeyFile: String?
        package var apnsKeyId: String?
        package var apnsTeamId: String?
        package var apnsTopic: String?
        package var apnsServer = APNsProvider.production
        package var fcmServiceAccountFile: String?
        package var fcmServer = FCMProvider.production
        /// Certificates in PEM beside those that the system trusts.
        package var caFile: String?
        /// The RingService of another program, which gets events and notifications too; nil: none.
        package var url: String?
        /// What that service wants to see.
        package var token: Secret?
        /// Where other programs find the RingService of this server; nil: nowhere.
        package var listen: String?
        /// What they must show.
        package var serviceToken: Secret?
        /// The program that takes mails for them; nil: there is no mail.
        package var sendmail: String?
        /// The address that mails come from.
        package var mailFrom: String?
        /// How long past notifications are kept.
        package var retention: Duration = .seconds(90 * 86_400)
    }
}
