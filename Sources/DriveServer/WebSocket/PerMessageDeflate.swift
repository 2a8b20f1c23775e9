/// The compression agreed for a WebSocket (permessage-deflate, RFC 7692 §7).
///
/// The answer always holds `server_no_context_takeover` and `client_no_context_takeover`, which a server may ask for whether
/// or not they were offered (§7.1.1): every message stands for itself then, and a connection at rest needs no zlib state.
struct PerMessageDeflate: Hashable, Sendable {
    /// The window Drive compresses with where the client allows it: 4 KiB hold nearly every packet.
    static let preferredWindowBits = 12

    /// Bits of the window the server's messages are compressed with, 9 to 12.
    let serverWindowBits: Int
    /// Whether the client asked for a limit, which an answer must repeat or lower (§7.1.2.1).
    private let answersWindowBits: Bool

    /// The value of `Sec-WebSocket-Extensions` in the answer.
    var response: String {
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
            + (answersWindowBits ? "; server_max_window_bits=\(serverWindowBits)" : "")
    }

    /// The first offer that can be kept, nil where there is none.
    static func negotiate(_ offers: [WebSocketExtension]) -> PerMessageDeflate? {
        offers.lazy.compactMap(PerMessageDeflate.init(offer:)).first
    }

    /// Nil for another extension, and for a parameter that is unknown, doubled or has a wrong value: such an offer is declined (§5.1, §7).
    private init?(offer: WebSocketExtension) {
        guard offer.name == "permessage-deflate" else { return nil }
        var seen: Set<String> = []
        var limit: Int?
        for parameter in offer.parameters {
            guard seen.insert(parameter.name).inserted else { return nil }
            switch parameter.name {
            case "server_no_context_takeover", "client_no_context_takeover":
                guard parameter.value == nil else { return nil }
            case "server_max_window_bits":
                guard let bits = Self.windowBits(parameter.value) else { return nil }
                limit = bits
            case "client_max_window_bits":
                // No limit is answered: the inflater reads any window, and there is one for all connections.
                guard parameter.value == nil || Self.windowBits(parameter.value) != nil else { return nil }
            default: return nil
            }
        }
        // zlib cannot write raw data for a window of 8 bits.
        guard limit != 8 else { return nil }
        serverWindowBits = min(limit ?? Self.preferredWindowBits, Self.preferredWindowBits)
        answersWindowBits = limit != nil
    }

    /// A decimal number from 8 to 15 without leading zeros (§7.1.2).
    private static func windowBits(_ text: String?) -> Int? {
        (8...15).first { String($0) == text }
    }
}
