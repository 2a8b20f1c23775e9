import DriveModel
import HTTPTypes
import Hummingbird

/// How a protocol of its own shapes what all routes share: the answer to an error, and what stands on every answer.
struct WireFace: Sendable {
    /// Below the prefix, with a leading slash: what lies at or under it speaks this protocol.
    let path: String
    /// The answer to a refusal or a failure, wherever it came from: the gate, the router, or the route.
    let refuse: @Sendable (DriveError, Request, _ requestId: String) -> Response
    /// Adds what every answer carries.
    let complete: @Sendable (inout Response, Request) -> Void

    static let all: [WireFace] = [TusFace.face, ResumableFace.face]

    /// The protocol that is spoken at an address; nil for Drive's own. As the router sees it: empty segments do not count.
    static func at(_ path: String) -> WireFace? {
        let segments = path.split(separator: "/", maxSplits: 3)
        guard segments.count > 1, RouteTable.prefixes.contains(where: { $0.dropFirst() == segments[0] }) else { return nil }
        return all.first { $0.path.dropFirst() == segments[1] }
    }
}
