import DriveModel
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// Who gets a WebSocket: decided before the `101` answer, or by the first message after it.
enum LiveEntrance {
    /// `/ws` beside the API's prefixes, as the spec's example says it.
    private static let paths: Set<String> = Set(RouteTable.prefixes.map { $0 + "/ws" } + ["/ws"])

    /// Like the router, it passes over a slash at the end.
    private static func isHere(_ path: String) -> Bool { paths.contains(path.hasSuffix("/") ? String(path.dropLast()) : path) }

    /// The upgrade of the live endpoint. A refused one reaches the route `/ws`, which says why.
    static func upgrade(services: Services) -> WebSocketUpgrade {
        let loops = LiveLoops()
        return WebSocketUpgrade { request, channel in
            guard let offer = Offer(request) else { return nil }
            guard (try? offer.options) != nil else { return nil }
            // Where not, the route answers with the reason.
            let address = origin(of: request, channel, services)
            guard case .allowed = services.limiter.check(address: address) else { return nil }
            if let token = offer.token {
                // A bad one counts where it is answered.
                guard case .allowed = services.limiter.checkSignIn(address: address),
                    let identity = try? await services.verifier.verify(token), case .account = identity.kind,
                    case .allowed = services.limiter.check(account: identity.accountId)
                else { return nil }
            }
            return offer.handshake.responseFields
        } install: { channel, request in
            guard let offer = Offer(request) else { throw ChannelError.inappropriateOperationForState }
            let options = try offer.options
            let loop = loops.loop(of: channel.eventLoop)
            let conversation = LiveConversation(
                services: services, address: origin(of: request, channel, services), token: offer.token, options: options, loop: loop,
                eventLoop: channel.eventLoop)
            let connection = WebSocketConnection(
                application: conversation, agreed: offer.handshake.compression, compression: loop.compression)
            try connection.install(in: channel)
        }
    }

    private struct Offer {
        let handshake: WebSocketHandshake
        let token: String?
        private let uri: URI

        var options: LiveOptions { get throws(DriveError) { try LiveEntrance.options(of: uri) } }

        /// Nil for what is no offer of a WebSocket at this address.
        init?(_ request: HTTPRequest) {
            let uri = URI(request.path ?? "/")
            guard LiveEntrance.isHere(uri.path),
                let handshake = try? WebSocketHandshake(method: request.method, fields: request.headerFields)
            else { return nil }
            self.handshake = handshake
            self.uri = uri
            token = SignIn.token(fields: request.headerFields, uri: uri, isInQuery: true)
        }
    }

    /// What the query asks for. Throws `INVALID_REQUEST` naming the rule.
    ///
    /// - Parameter lastEventId: the field `Last-Event-ID` of who has it.
    static func options(of uri: URI, lastEventId: String? = nil) throws(DriveError) -> LiveOptions {
        try LiveRequestNames.check(query: uri)
        return try LiveOptions(query: uri.queryParameters.map { (name: $0.key, value: $0.value) }, lastEventId: lastEventId)
    }

    private static func origin(of request: HTTPRequest, _ channel: any Channel, _ services: Services) -> AddressKey {
        let origin = ForwardedHeaders.resolve(
            peer: channel.remoteAddress?.ipAddress.flatMap { IPAddress($0) } ?? .unknown, trusted: services.trustedProxies,
            headers: request.headerFields, scheme: services.configuration.tls.isEnabled ? "https" : "http", host: request.authority)
        return AddressKey(origin.address)
    }
}
