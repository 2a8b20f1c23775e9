import HTTPTypes
import Hummingbird

/// Answers every request of the plain-HTTP port with the same address under `https`.
///
/// GET and HEAD get `301`; everything else `308`, which keeps method and body (RFC 9110 §15.4).
package struct HTTPSRedirect: HTTPResponder {
    package typealias Context = BasicRequestContext

    private let port: Int
    private let host: String?

    /// - Parameters:
    ///   - port: where TLS listens, as clients see it; 443 is left out of the address.
    ///   - host: the server's public name; nil takes the one the client asked for.
    package init(port: Int = 443, host: String? = nil) {
        self.port = port
        self.host = host
    }

    package func respond(to request: Request, context: Context) async throws -> Response {
        guard let location = location(authority: request.head.authority, path: request.head.path) else {
            return Response(status: .badRequest, headers: [.contentLength: "0"])
        }
        // Not for HEAD: resumable uploads are asked for by it, and their clients do not follow a 301 (draft, section 4.3.2).
        let isSafe = request.method == .get
        return Response(
            status: isSafe ? .movedPermanently : .permanentRedirect,
            headers: [.location: location, .contentLength: "0"]
        )
    }

    /// Nil where the request names no host, or one with characters a host cannot have.
    func location(authority: String?, path: String?) -> String? {
        let path = path ?? "/"
        guard let host = host ?? authority.flatMap(Self.host(of:)), path.hasPrefix("/") else { return nil }
        return "https://\(host)\(port == 443 ? "" : ":\(port)")\(path)"
    }

    /// The host of an authority, without the port.
    private static func host(of authority: String) -> String? {
        let bytes = authority.utf8
        let isIPv6 = bytes.first == UInt8(ascii: "[")
        let end = isIPv6 ? bytes.firstIndex(of: UInt8(ascii: "]")).map(bytes.index(after:)) : bytes.firstIndex(of: UInt8(ascii: ":"))
        let host = authority[..<(end ?? authority.endIndex)]
        let isName = host.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"): true
            case UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: ":"): isIPv6
            default: false
            }
        }
        return host.isEmpty || !isName ? nil : String(host)
    }
}
