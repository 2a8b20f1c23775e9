import HTTPTypes
import Testing

@testable import DriveServer

@Suite struct WebSocketHandshakeTests {
    /// Fields of the request in RFC 6455 §1.3.
    static let sample: HTTPFields = [
        .upgrade: "websocket", .connection: "Upgrade", .secWebSocketKey: "dGhlIHNhbXBsZSBub25jZQ==", .secWebSocketVersion: "13",
    ]

    private func fields(_ changes: [HTTPField.Name: String?]) -> HTTPFields {
        var fields = Self.sample
        for (name, value) in changes { fields[name] = value }
        return fields
    }

    @Test func acceptsTheSample() throws {
        let handshake = try WebSocketHandshake(method: .get, fields: Self.sample)
        #expect(handshake.compression == nil && handshake.subprotocol == nil && handshake.responseFields.isEmpty)
    }

    @Test(
        arguments: [
            [.upgrade: "WebSocket"], [.upgrade: "h2c, websocket"], [.connection: "keep-alive, Upgrade"],
            [.connection: "keep-alive,upgrade"],
            [.secWebSocketKey: "AAAAAAAAAAAAAAAAAAAA/+=="], [.secWebSocketExtensions: ""],
            [.secWebSocketExtensions: "x-unknown; a=\"b\", , y"],
        ] as [[HTTPField.Name: String?]])
    func accepts(changes: [HTTPField.Name: String?]) throws {
        #expect(try WebSocketHandshake(method: .get, fields: fields(changes)).responseFields.isEmpty)
    }

    @Test(
        arguments: [
            ([.upgrade: nil], .upgradeRequired), ([.upgrade: "h2c"], .upgradeRequired), ([.connection: "keep-alive"], .upgradeRequired),
            ([.secWebSocketVersion: nil, .secWebSocketKey: nil, .upgrade: nil, .connection: nil], .upgradeRequired),
            ([.secWebSocketVersion: "8"], .version), ([.secWebSocketVersion: "14"], .version), ([.secWebSocketVersion: nil], .version),
            ([.secWebSocketVersion: "13, 8"], .version), ([.secWebSocketVersion: "8", .upgrade: nil], .version),
            ([.secWebSocketKey: nil], .key), ([.secWebSocketKey: ""], .key), ([.secWebSocketKey: "dGhlIHNhbXBsZSBub25jZQ"], .key),
            ([.secWebSocketKey: "dGhlIHNhbXBsZSBub25jZQAA"], .key), ([.secWebSocketKey: "dGhl!HNhbXBsZSBub25jZQ=="], .key),
            ([.secWebSocketKey: "dGhlIHNhbXBsZSBub25jZQAAAAA="], .key), ([.secWebSocketKey: "AAAA=="], .key),
            ([.secWebSocketExtensions: "permessage-deflate; =1"], .extensions), ([.secWebSocketExtensions: "a b"], .extensions),
            ([.secWebSocketExtensions: "a; b=\"c d\""], .extensions), ([.secWebSocketExtensions: "a; b=\"c"], .extensions),
            ([.secWebSocketExtensions: "a;"], .extensions), ([.secWebSocketExtensions: "a; b="], .extensions),
            ([.secWebSocketProtocol: "a b"], .subprotocols),
        ] as [([HTTPField.Name: String?], WebSocketHandshake.Refusal)])
    func refuses(changes: [HTTPField.Name: String?], refusal: WebSocketHandshake.Refusal) {
        #expect(throws: refusal) { try WebSocketHandshake(method: .get, fields: fields(changes)) }
    }

    @Test func refusesOtherMethodsVersionsAndTwoKeys() {
        #expect(throws: WebSocketHandshake.Refusal.method) { try WebSocketHandshake(method: .post, fields: Self.sample) }
        #expect(throws: WebSocketHandshake.Refusal.upgradeRequired) {
            try WebSocketHandshake(method: .get, isHTTP11: false, fields: Self.sample)
        }
        var twice = Self.sample
        twice.append(HTTPField(name: .secWebSocketKey, value: "dGhlIHNhbXBsZSBub25jZQ=="))
        #expect(throws: WebSocketHandshake.Refusal.key) { try WebSocketHandshake(method: .get, fields: twice) }
    }

    @Test func refusalsSayWhatHelps() {
        #expect(WebSocketHandshake.Refusal.version.status.code == 426)
        #expect(WebSocketHandshake.Refusal.version.fields[.secWebSocketVersion] == "13")
        #expect(WebSocketHandshake.Refusal.upgradeRequired.fields[.upgrade] == "websocket")
        #expect(WebSocketHandshake.Refusal.method.status.code == 405 && WebSocketHandshake.Refusal.method.fields[.allow] == "GET")
        #expect(WebSocketHandshake.Refusal.key.status.code == 400)
    }

    @Test(arguments: [("drive.v1", "drive.v1"), ("other, drive.v1", "drive.v1"), ("other", nil), ("Drive.v1", nil)])
    func choosesTheSubprotocol(offered: String, chosen: String?) throws {
        let handshake = try WebSocketHandshake(method: .get, fields: fields([.secWebSocketProtocol: offered]))
        #expect(handshake.subprotocol == chosen && handshake.responseFields[.secWebSocketProtocol] == chosen)
    }

    static let plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

    @Test(arguments: [
        ("permessage-deflate", plain, 12), ("permessage-deflate; client_max_window_bits", plain, 12),
        ("permessage-deflate; client_max_window_bits=8", plain, 12), ("permessage-deflate;client_max_window_bits=\"15\"", plain, 12),
        ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", plain, 12),
        ("permessage-deflate; server_max_window_bits=15", plain + "; server_max_window_bits=12", 12),
        ("permessage-deflate; server_max_window_bits=10", plain + "; server_max_window_bits=10", 10),
        ("permessage-deflate; server_max_window_bits=9; client_max_window_bits", plain + "; server_max_window_bits=9", 9),
        ("x-webkit-deflate-frame, permessage-deflate", plain, 12),
        (
            "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=11",
            plain + "; server_max_window_bits=11", 11
        ),
        ("permessage-deflate; unknown, permessage-deflate", plain, 12),
    ])
    func agreesOnCompression(offer: String, response: String, windowBits: Int) throws {
        let handshake = try WebSocketHandshake(method: .get, fields: fields([.secWebSocketExtensions: offer]))
        #expect(handshake.responseFields[.secWebSocketExtensions] == response)
        #expect(handshake.compression?.serverWindowBits == windowBits)
        let without = try WebSocketHandshake(
            method: .get, fields: fields([.secWebSocketExtensions: offer]), allowsCompression: false)
        #expect(without.compression == nil && without.responseFields.isEmpty)
    }

    @Test(arguments: [
        "permessage-deflate; unknown", "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; server_max_window_bits", "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010", "permessage-deflate; server_max_window_bits=1a",
        "permessage-deflate; client_max_window_bits=7", "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "Permessage-Deflate", "permessage-bzip2",
    ])
    func declines(offer: String) throws {
        #expect(try WebSocketHandshake(method: .get, fields: fields([.secWebSocketExtensions: offer])).compression == nil)
    }

    @Test func readsOffersOfSeveralFields() throws {
        var several = Self.sample
        several.append(HTTPField(name: .secWebSocketExtensions, value: "first; a=1"))
        several.append(HTTPField(name: .secWebSocketExtensions, value: "permessage-deflate; server_max_window_bits=11"))
        #expect(try WebSocketHandshake(method: .get, fields: several).compression?.serverWindowBits == 11)
    }
}
