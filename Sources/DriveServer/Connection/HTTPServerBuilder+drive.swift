import HummingbirdCore

extension HTTPServerBuilder {
    /// The server's connections, for `Application(responder:server:)`.
    ///
    /// A graceful stop of the application closes idle connections at once and lets busy ones finish until the policy's
    /// `gracefulStopDeadline`; nothing more has to be done for it.
    /// - Parameters:
    ///   - tls: nil for plain HTTP.
    ///   - registry: shared by all servers of the process, so that limits and memory are the process's.
    ///   - upgrade: nil where no WebSocket is offered.
    package static func drive(
        policy: ConnectionPolicy = ConnectionPolicy(),
        tls: TLSContextSource? = nil,
        registry: ConnectionRegistry,
        upgrade: WebSocketUpgrade? = nil
    ) -> HTTPServerBuilder {
        HTTPServerBuilder { responder in
            DriveHTTPChannel(policy: policy, registry: registry, tls: tls, upgrade: upgrade, responder: responder)
        }
    }
}
