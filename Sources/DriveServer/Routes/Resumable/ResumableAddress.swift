import Hummingbird

/// The absolute addresses of one request's answers, as its client can reach them.
struct ResumableAddress: Sendable {
    /// Scheme, authority and prefix.
    private let base: String

    /// - Parameter path: of the request; its prefix is kept, as a gateway may know one alone.
    init(publicURL: String?, origin: ClientOrigin, path: String) {
        let prefix = RouteTable.prefixes.first { path.hasPrefix($0 + "/") } ?? RouteTable.prefixes[0]
        // HTTP/1.0 may name no host; the address then begins at the root.
        base = (publicURL ?? origin.host.map { "\(origin.scheme)://\($0)" } ?? "") + prefix
    }

    init(_ call: Call) {
        self.init(publicURL: call.services.configuration.server.publicURL, origin: call.origin, path: call.request.uri.path)
    }

    func upload(_ taskId: String) -> String { base + ResumableFace.path + "/" + taskId }
    func file(_ fileId: String) -> String { base + "/files/" + fileId }
}
