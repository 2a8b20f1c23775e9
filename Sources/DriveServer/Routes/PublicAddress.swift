import Hummingbird

/// Where this server stands, as the client of one request can reach it.
struct PublicAddress: Sendable {
    /// Scheme and authority, with the path that a proxy adds; empty where the request names no host, as HTTP/1.0 may: addresses
    /// then begin at the root.
    let root: String
    /// The root and the prefix of the request's path, as a gateway may know one alone.
    let base: String

    /// - Parameters:
    ///   - publicURL: the configured address of the server, without a trailing slash; goes before what the request says.
    ///   - path: of the request.
    init(publicURL: String?, origin: ClientOrigin, path: String) {
        root = publicURL ?? origin.host.map { "\(origin.scheme)://\($0)" } ?? ""
        base = root + (RouteTable.prefixes.first { path.hasPrefix($0 + "/") } ?? RouteTable.prefixes[0])
    }

    init(_ call: Call) {
        self.init(publicURL: call.services.configuration.server.publicURL, origin: call.origin, path: call.request.uri.path)
    }
}
