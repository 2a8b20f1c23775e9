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
    ///
    /// Every request is asked, so nothing is allocated here.
    static func at(_ path: String) -> WireFace? {
        var rest = path.utf8[...]
        let prefix = nextSegment(of: &rest)
        guard RouteTable.prefixes.contains(where: { $0.utf8.dropFirst().elementsEqual(prefix) }) else { return nil }
        let name = nextSegment(of: &rest)
        return all.first { $0.path.utf8.dropFirst().elementsEqual(name) }
    }

    /// Takes the next segment that is not empty off the path; an empty one where there is none.
    private static func nextSegment(of rest: inout Substring.UTF8View) -> Substring.UTF8View {
        rest = rest.drop { $0 == UInt8(ascii: "/") }
        let segment = rest.prefix { $0 != UInt8(ascii: "/") }
        rest = rest[segment.endIndex...]
        return segment
    }
}

extension DriveError {
    /// Whether the fault passes by itself. A client whose `HEAD` is answered so takes its upload for lost, over either protocol: it is
    /// told to ask again.
    var isPassing: Bool {
        switch code.category {
        case .internalFailure, .notImplemented, .unavailable, .storageFull, .tooManyRequests, .timedOut: true
        default: false
        }
    }
}
