import Foundation
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle

/// Why the server cannot listen: the address, the port, the reason, and the settings that choose another.
package struct ListenError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String
}

/// Where a server listens, and which settings say so.
struct ListeningAddress: Hashable, Sendable {
    /// What is served there, for messages: `HTTPS`, `the redirect to HTTPS`.
    let purpose: String
    let host: String
    let port: Int
    /// What changes the port, as the operator writes it.
    let portSettings: String

    /// The error of a bind in the operator's words; nil for other errors.
    func failure(_ error: any Error) -> ListenError? {
        let place = "cannot listen on \(host), port \(port), for \(purpose)"
        switch error {
        case let error as IOError where error.errnoCode == EADDRNOTAVAIL:
            return ListenError(description: "\(place): this machine has no such address; choose another with --host (DRIVE_HOST)")
        case let error as IOError:
            let reason = String(cString: strerror(error.errnoCode))
            return ListenError(description: "\(place): \(reason); choose another port with \(portSettings)")
        case is SocketAddressError, is SocketAddressError.UnknownHost:
            return ListenError(description: "\(place): the host is unknown; choose another with --host (DRIVE_HOST)")
        default:
            return nil
        }
    }
}

/// A server on an address, whose failure to listen tells which of the process's addresses it is about.
struct Listener<Responder: HTTPResponder>: Service
where Responder.Context: InitializableFromSource<ApplicationRequestContextSource> {
    let address: ListeningAddress
    let responder: Responder
    let policy: ConnectionPolicy
    let registry: ConnectionRegistry
    /// Nil for plain HTTP.
    let tls: TLSContextSource?
    /// Nil where no connection becomes a WebSocket.
    let upgrade: WebSocketUpgrade?
    let logger: Logger
    /// Told the port that was bound. Connections wait until it returns.
    let bound: @Sendable (_ port: Int) async -> Void

    /// - Throws: `ListenError`.
    func run() async throws {
        // Hummingbird logs each server as it comes up, when another one may still fail; connections log as they did.
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .notice)
        let server = HTTPServerBuilder {
            DriveHTTPChannel(policy: policy, registry: registry, tls: tls, upgrade: upgrade, logger: logger, responder: $0)
        }
        let application = Application(
            responder: responder, server: server,
            configuration: ApplicationConfiguration(address: .hostname(address.host, port: address.port), serverName: nil),
            onServerRunning: { channel in await bound(channel.localAddress?.port ?? address.port) }, logger: quiet)
        do {
            try await application.run()
        } catch {
            // Once bound, nothing of the socket ends the service with an error.
            throw address.failure(error) ?? error
        }
    }
}

/// A value that one service of the process gives and another waits for.
struct Handover<Value: Sendable>: Sendable {
    private let values: AsyncStream<Value>
    private let continuation: AsyncStream<Value>.Continuation

    init() {
        (values, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func give(_ value: Value) {
        continuation.yield(value)
    }

    /// Called once. Nil where the wait was cancelled, or the process is to stop: the value may never come then.
    func taken() async -> Value? {
        await cancelWhenGracefulShutdown { await values.first { _ in true } }
    }
}
