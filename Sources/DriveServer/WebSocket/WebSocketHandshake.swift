import HTTPTypes

/// What an opening handshake agreed on (RFC 6455 §4.2): a pure reading of the request's fields.
///
/// `Upgrade`, `Connection` and `Sec-WebSocket-Accept` of the answer are written by NIO's upgrader.
struct WebSocketHandshake: Hashable, Sendable {
    /// Drive's subprotocol. A client need not ask for one; browsers close when one was asked for and none is answered.
    static let subprotocolName = "drive.v1"

    /// Why a request for the WebSocket is answered by plain HTTP. The raw values are stable.
    enum Refusal: String, Error, Hashable, Sendable {
        case method = "a WebSocket begins with GET"
        case upgradeRequired = "this address speaks WebSocket: Upgrade and Connection are missing"
        case version = "Sec-WebSocket-Version must be 13"
        case key = "Sec-WebSocket-Key must be 16 bytes in Base64"
        case extensions = "malformed Sec-WebSocket-Extensions"
        case subprotocols = "malformed Sec-WebSocket-Protocol"

        var status: HTTPResponse.Status {
            switch self {
            case .method: .methodNotAllowed
            case .upgradeRequired, .version: .upgradeRequired
            case .key, .extensions, .subprotocols: .badRequest
            }
        }

        /// What the refusal must say beside its status (RFC 9110 §15.5.6 and §15.5.22, RFC 6455 §4.4).
        var fields: HTTPFields {
            switch self {
            case .method: [.allow: "GET"]
            case .upgradeRequired, .version: [.upgrade: "websocket", .connection: "Upgrade", .secWebSocketVersion: "13"]
            case .key, .extensions, .subprotocols: [:]
            }
        }
    }

    /// The subprotocol spoken; nil where the client named none that Drive has.
    let subprotocol: String?
    /// Nil where messages are not compressed.
    let compression: PerMessageDeflate?

    /// Checks a request.
    ///
    /// `Upgrade` is looked at last: a request whose upgrade was refused reaches the routes without it, and shall still hear why.
    /// - Parameters:
    ///   - isHTTP11: false for HTTP/1.0, which has no upgrades.
    ///   - allowsCompression: false declines every extension.
    init(
        method: HTTPRequest.Method, isHTTP11: Bool = true, fields: HTTPFields, allowsCompression: Bool = true
    ) throws(Refusal) {
        guard method == .get else { throw .method }
        let versions = fields[values: .secWebSocketVersion]
        let keys = fields[values: .secWebSocketKey]
        guard isHTTP11, !(versions.isEmpty && keys.isEmpty) else { throw .upgradeRequired }
        guard versions == ["13"] else { throw .version }
        guard keys.count == 1, keys.allSatisfy(Self.isKey) else { throw .key }
        guard let offers = WebSocketExtension.parse(fields[values: .secWebSocketExtensions]) else { throw .extensions }
        guard let subprotocols = Self.tokens(fields[values: .secWebSocketProtocol]) else { throw .subprotocols }
        guard Self.names(fields[values: .upgrade], "websocket"), Self.names(fields[values: .connection], "upgrade") else {
            throw .upgradeRequired
        }
        // Case matters: subprotocols are compared byte by byte.
        subprotocol = subprotocols.contains(Self.subprotocolName) ? Self.subprotocolName : nil
        compression = allowsCompression ? PerMessageDeflate.negotiate(offers) : nil
    }

    /// What the `101` answer says of the agreement.
    var responseFields: HTTPFields {
        var fields = HTTPFields()
        fields[.secWebSocketProtocol] = subprotocol
        fields[.secWebSocketExtensions] = compression?.response
        return fields
    }

    /// 16 bytes in Base64: 22 digits and the padding. What the bytes are does not matter.
    private static func isKey(_ key: String) -> Bool {
        let bytes = Array(key.utf8)
        return bytes.count == 24 && key.hasSuffix("==")
            && bytes.dropLast(2).allSatisfy { byte in
                HTTPSyntax.isLetter(byte) || HTTPSyntax.isDigit(byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "/")
            }
    }

    /// The tokens of a list, nil where something else is in it.
    private static func tokens(_ fields: [String]) -> [String]? {
        let pieces = fields.flatMap { $0.utf8.split(separator: UInt8(ascii: ",")) }.map { HTTPSyntax.trim(Array($0)[...]) }
        let tokens = pieces.filter { !$0.isEmpty }
        guard tokens.allSatisfy({ $0.allSatisfy(HTTPSyntax.isTokenByte) }) else { return nil }
        return tokens.map { String(decoding: $0, as: UTF8.self) }
    }

    /// Whether a list names a token, in any case.
    private static func names(_ fields: [String], _ token: String) -> Bool {
        fields.contains { field in
            field.utf8.split(separator: UInt8(ascii: ",")).contains { piece in
                HTTPSyntax.trim(Array(piece)[...]).map(HTTPSyntax.lowercased).elementsEqual(token.utf8)
            }
        }
    }
}
