import DriveModel
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// Puts the route table into Hummingbird's router: for each route who may call it is decided here, and nowhere else.
enum RouteRegistration {
    static func router(services: Services) -> Router<DriveRequestContext> {
        let router = Router(context: DriveRequestContext.self)
        router.add(middleware: RequestGate(services: services))
        for prefix in RouteTable.prefixes {
            for route in RouteTable.api { add(route, prefix: prefix, to: router, services: services) }
        }
        for route in RouteTable.root { add(route, prefix: "", to: router, services: services) }
        return router
    }

    private static func add(_ route: Route, prefix: String, to router: Router<DriveRequestContext>, services: Services) {
        router.on(RouterPath(prefix + route.path), method: route.method) { request, context in
            let origin = ForwardedHeaders.resolve(
                peer: context.peer?.ipAddress.flatMap { IPAddress($0) } ?? .unknown, trusted: services.trustedProxies,
                headers: request.headers,
                scheme: services.configuration.tls.isEnabled ? "https" : "http", host: request.head.authority)
            let identity = try await admit(request, to: route, parameters: context.parameters, origin: origin, services: services)
            try StoredText.check(request.uri)
            let call = Call(
                request: request, services: services, parameters: context.parameters, requestId: RequestGate.currentId, origin: origin,
                logger: services.logger, identity: identity)
            return try await route.handle(call)
        }
    }

    /// Rate limits and the token. Throws `RATE_LIMITED`, `UNAUTHENTICATED`, `FORBIDDEN`, and `TASK_NOT_FOUND` where a session
    /// token meets another upload.
    private static func admit(
        _ request: Request, to route: Route, parameters: Parameters, origin: ClientOrigin, services: Services
    ) async throws -> Identity? {
        let address = AddressKey(origin.address)
        try SignIn.allow(services.limiter.check(address: address), rule: "address")
        guard route.access != .open else { return nil }
        let isInQuery = route.access == .stream || route.access == .webSocket
        guard let token = SignIn.token(fields: request.headers, uri: request.uri, isInQuery: isInQuery) else {
            if route.access == .webSocket { return nil }
            try SignIn.allow(services.limiter.checkSignIn(address: address), rule: "failedSignIns")
            throw DriveError(.unauthenticated, "Send a token in the header Authorization: Bearer ….", details: ["rule": "authorization"])
        }
        let identity = try await SignIn.identity(of: token, from: address, services: services)
        switch identity.kind {
        case .account: break
        case .worker:
            guard route.access == .work else {
                throw DriveError(.forbidden, "A worker token is good for /tasks/work alone.", details: ["rule": "workerToken"])
            }
        case .uploadSession(let taskId, _):
            guard route.access == .upload else {
                throw DriveError(.forbidden, "A session token is good for its upload alone.", details: ["rule": "sessionToken"])
            }
            guard parameters.get("taskId") == taskId else {
                throw DriveError(.taskNotFound, "There is no upload with this id.", details: ["rule": "sessionToken"])
            }
        }
        if route.access == .admin, identity.role != .admin {
            throw DriveError(.forbidden, "This route asks for the role admin.", details: ["rule": "role"])
        }
        return identity
    }
}
