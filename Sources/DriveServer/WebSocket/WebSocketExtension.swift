/// One offer in `Sec-WebSocket-Extensions` (RFC 6455 §9.1).
struct WebSocketExtension: Hashable, Sendable {
    struct Parameter: Hashable, Sendable {
        let name: String
        /// Unquoted; nil where the parameter is a name alone.
        let value: String?
    }

    /// As it was sent: extension names are compared byte by byte.
    let name: String
    let parameters: [Parameter]

    /// The offers of all fields, in their order.
    /// - Returns: nil where the grammar is broken; the handshake fails then.
    static func parse(_ fields: [String]) -> [WebSocketExtension]? {
        var offers: [WebSocketExtension] = []
        for field in fields {
            guard let elements = HTTPSyntax.split(Array(field.utf8)[...], at: UInt8(ascii: ",")) else { return nil }
            // A list may have empty elements (RFC 9110 §5.6.1).
            for element in elements where !element.isEmpty {
                guard let offer = WebSocketExtension(element) else { return nil }
                offers.append(offer)
            }
        }
        return offers
    }

    private init?(_ element: ArraySlice<UInt8>) {
        guard let pieces = HTTPSyntax.split(element, at: UInt8(ascii: ";")), let name = pieces.first.flatMap(Self.token) else { return nil }
        var parameters: [Parameter] = []
        for piece in pieces.dropFirst() {
            guard let parameter = Self.parameter(piece) else { return nil }
            parameters.append(parameter)
        }
        self.name = name
        self.parameters = parameters
    }

    private static func parameter(_ piece: ArraySlice<UInt8>) -> Parameter? {
        guard let equals = piece.firstIndex(of: UInt8(ascii: "=")) else {
            return token(piece).map { Parameter(name: $0, value: nil) }
        }
        guard let name = token(HTTPSyntax.trim(piece[..<equals])) else { return nil }
        var value = HTTPSyntax.trim(piece[piece.index(after: equals)...])
        // A quoted value must be a token too once it is unquoted, so that it holds no escapes worth keeping.
        if value.count >= 2, value.first == HTTPSyntax.quote, value.last == HTTPSyntax.quote { value = value.dropFirst().dropLast() }
        return token(value).map { Parameter(name: name, value: $0) }
    }

    private static func token(_ bytes: ArraySlice<UInt8>) -> String? {
        guard !bytes.isEmpty, bytes.allSatisfy(HTTPSyntax.isTokenByte) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
