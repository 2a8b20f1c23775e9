import Foundation

/// Where the server is: scheme, host, port, and the path the API stands under. A pure value.
public struct ServerAddress: Hashable, Sendable, CustomStringConvertible {
    /// Without a slash at the end.
    public let base: String
    public let host: String
    public let isSecure: Bool

    public var description: String { base }

    /// - Parameter text: `https://drive.example`, with a port and a path where they are needed.
    /// - Throws: `DriveClientError.invalidArgument`.
    public init(_ text: String) throws(DriveClientError) {
        guard let parts = URLComponents(string: text), let scheme = parts.scheme?.lowercased(), scheme == "http" || scheme == "https",
            let host = parts.host, !host.isEmpty, parts.query == nil, parts.fragment == nil, parts.user == nil
        else {
            throw .invalidArgument("\"\(text)\" is not a server address; it looks like https://drive.example or http://127.0.0.1:8080.")
        }
        var base = text
        while base.hasSuffix("/") { base.removeLast() }
        self.base = base
        self.host = host.trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
        self.isSecure = scheme == "https"
    }

    /// Whether a token sent there can be read on the way: plain HTTP to another machine.
    public var exposesTokens: Bool {
        !isSecure && host != "localhost" && host != "::1" && !host.hasPrefix("127.")
    }

    /// The URL of a route.
    /// - Parameters:
    ///   - segments: of the path, as they are; they are encoded here.
    ///   - query: pairs whose value is nil are left out.
    func url(_ segments: [String], query: [(String, String?)] = []) -> String {
        var url = segments.reduce(base) { $0 + "/" + Self.encode($1) }
        var separator = "?"
        for case (let name, let value?) in query {
            url += separator + Self.encode(name) + "=" + Self.encode(value)
            separator = "&"
        }
        return url
    }

    /// Everything but the unreserved characters of RFC 3986, section 2.3, as `%XX`.
    static func encode(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: unreserved) ?? ""
    }

    private static let unreserved = CharacterSet(
        charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
}
