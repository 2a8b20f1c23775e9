import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// What broken and hostile clients get, and that nobody else notices.
@Suite(.timeLimit(.minutes(1))) struct LiveMisuseTests {
    /// What a client that is signed in does, and the code by which it is sent away.
    enum Misuse: CaseIterable, Sendable {
        case tenMegabytes, tooLong, tooLongInPieces, unmasked, reservedBits, unknownOpcode, continuationOfNothing, interrupted, longPing
        case halfACharacter, wrongUTF8, binary, floodOfPings, floodOfFragments, badCloseCode, badCloseReason

        var code: Int {
            switch self {
            case .tenMegabytes, .tooLong, .tooLongInPieces: 1009
            case .unmasked, .reservedBits, .unknownOpcode, .continuationOfNothing, .interrupted, .longPing, .badCloseCode: 1002
            case .halfACharacter, .wrongUTF8, .badCloseReason: 1007
            case .binary: 1003
            case .floodOfPings, .floodOfFragments: 4429
            }
        }

        var bytes: [UInt8] {
            func frame(_ opcode: UInt8, _ payload: [UInt8] = [], isFinal: Bool = true) -> [UInt8] {
                LiveFrame(opcode: opcode, payload: payload, isFinal: isFinal).encoded()
            }
            let space = UInt8(ascii: " ")
            let ping = Array(#"{"type":"ping"}"#.utf8)
            switch self {
            case .tenMegabytes: return frame(LiveFrame.text, Array(repeating: space, count: 10 << 20))
            case .tooLong: return frame(LiveFrame.text, Array(repeating: space, count: 64 << 10 | 1))
            case .tooLongInPieces:
                let half = [UInt8](repeating: space, count: 33 << 10)
                return frame(LiveFrame.text, half, isFinal: false) + frame(LiveFrame.continuation, half)
            case .unmasked: return LiveFrame(opcode: LiveFrame.text, payload: ping).encoded(isMasked: false)
            case .reservedBits: return frame(0x40 | LiveFrame.text, ping)
            case .unknownOpcode: return frame(0x3, ping)
            case .continuationOfNothing: return frame(LiveFrame.continuation, ping)
            case .interrupted: return frame(LiveFrame.text, [123], isFinal: false) + frame(LiveFrame.text, ping)
            case .longPing: return frame(LiveFrame.ping, Array(repeating: 0, count: 126))
            case .halfACharacter: return frame(LiveFrame.text, [0xE2, 0x82])
            case .wrongUTF8: return frame(LiveFrame.text, [34, 0xC0, 0xAF, 34], isFinal: false)
            case .binary: return frame(LiveFrame.binary, ping)
            case .floodOfPings: return (0..<400).flatMap { frame(LiveFrame.ping, [UInt8($0 & 0xFF)]) }
            case .floodOfFragments:
                return frame(LiveFrame.text, isFinal: false) + (0..<400).flatMap { _ in frame(LiveFrame.continuation, isFinal: false) }
            case .badCloseCode: return frame(LiveFrame.close, [0x03, 0xED])
            case .badCloseReason: return frame(LiveFrame.close, [0x03, 0xE8, 0xC3])
            }
        }
    }

    @Test(arguments: Misuse.allCases) func isSentAwayByTheRightCode(_ misuse: Misuse) async throws {
        let client = try await SharedServer.client("live-misuse")
        let live = try await LiveSocket.signedIn(client)
        let bytes = misuse.bytes
        // The server's word is read while ours is still under way.
        async let sent: Void = live.send(bytes)
        let (close, packets) = try await live.closed()
        await sent
        #expect(close.code == misuse.code && !close.reason.isEmpty, "\(close)")
        #expect(packets.isEmpty, "\(packets)")
    }

    /// The frame of ten megabytes before anybody knows who sends it.
    @Test func isSentAwayBeforeTheSignInToo() async throws {
        let server = try await SharedServer.get()
        for misuse in [Misuse.tenMegabytes, .unmasked, .floodOfPings] {
            let live = try await LiveSocket.open(server.port)
            async let sent: Void = live.send(misuse.bytes)
            try await live.expectClosed(misuse.code, "\(misuse)")
            await sent
        }
    }

    @Test func wrongWordsAreAnsweredAndTheConnectionStays() async throws {
        let client = try await SharedServer.client("live-words")
        let live = try await LiveSocket.open(client.port)
        func expectError(_ text: String, _ code: String, _ rule: JSONValue?) async throws {
            await live.send(text)
            let error = try await live.packet("error")
            #expect(error.data["code"]?.string == code && error.data["details"]?["rule"] == rule, "\(text): \(error)")
            #expect(error.data["message"]?.string?.isEmpty == false && error.data["status"]?.integer != nil, "\(error)")
        }
        try await expectError(#"{"type":"subscribe"}"#, "UNAUTHENTICATED", "authorization")
        try await expectError("hello", "INVALID_REQUEST", "json")
        try await expectError("", "INVALID_REQUEST", "json")
        try await expectError("[]", "INVALID_REQUEST", "json")
        try await expectError(#"{"type":7}"#, "INVALID_REQUEST", "json")
        try await expectError(#"{"type":"shout"}"#, "INVALID_REQUEST", "type")
        try await expectError(#"{"type":"auth"}"#, "INVALID_REQUEST", "token")
        try await expectError(#"{"type":"auth","token":"x","since":-1}"#, "INVALID_REQUEST", "since")
        try await expectError(#"{"type":"auth","token":"x","since":"1060"}"#, "INVALID_REQUEST", "since")
        try await expectError(String(repeating: "[", count: 60_000), "INVALID_REQUEST", "depth")

        // The sign-in in pieces, cut within a character, with a ping between them.
        let auth = Array(#"{"endpoint":"ü","type":"auth","token":"\#(client.token ?? "")"}"#.utf8)
        let cuts = [0, 14, 60, auth.count]
        for (index, (start, end)) in zip(cuts, cuts.dropFirst()).enumerated() {
            let opcode = index == 0 ? LiveFrame.text : LiveFrame.continuation
            await live.send(LiveFrame(opcode: opcode, payload: Array(auth[start..<end]), isFinal: end == auth.count))
            guard end < auth.count else { break }
            await live.send(LiveFrame(opcode: LiveFrame.ping, payload: [UInt8(index)]))
            #expect(try await live.frame() == LiveFrame(opcode: LiveFrame.pong, payload: [UInt8(index)]))
        }
        try await live.begin()
        try await expectError(#"{"type":"presence"}"#, "INVALID_REQUEST", "foreground")
        try await expectError(#"{"type":"subscribe","data":{"types":"task.created"}}"#, "INVALID_REQUEST", "data.types")
        let task = try await client.makeCustom(uniqueKind("live-words"))
        #expect(try await live.packet("task.created").taskId == task.taskId)
        await live.send(LiveFrame(opcode: LiveFrame.close, payload: [0x03, 0xE8]))
        try await live.expectClosed(1000)
    }

    // MARK: Handshakes

    struct Handshake: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let fields: [String]
        let status: Int

        static func without(_ name: String, and more: String...) -> [String] {
            LiveSocket.handshake.filter { !$0.hasPrefix(name) } + more
        }

        static let all = [
            Handshake(testDescription: "no upgrade", fields: [], status: 426),
            Handshake(
                testDescription: "version 12", fields: without("Sec-WebSocket-Version", and: "Sec-WebSocket-Version: 12"), status: 426),
            Handshake(testDescription: "no version", fields: without("Sec-WebSocket-Version"), status: 426),
            Handshake(testDescription: "no key", fields: without("Sec-WebSocket-Key"), status: 400),
            Handshake(testDescription: "short key", fields: without("Sec-WebSocket-Key", and: "Sec-WebSocket-Key: c2hvcnQ="), status: 400),
            Handshake(testDescription: "broken extensions", fields: LiveSocket.handshake + ["Sec-WebSocket-Extensions: ;"], status: 400),
            Handshake(testDescription: "another protocol", fields: without("Upgrade:", and: "Upgrade: h2c"), status: 426),
        ]
    }

    @Test(arguments: Handshake.all) func aBrokenHandshakeIsAnswered(_ handshake: Handshake) async throws {
        let client = try await SharedServer.client("live-handshake")
        do {
            _ = try await LiveSocket.open(client.port, token: client.token, fields: handshake.fields)
            Issue.record("a WebSocket")
        } catch let error as LiveSocket.Refused {
            expectRefusal(error.reply, handshake.status, handshake.status == 426 ? "UPGRADE_REQUIRED" : "INVALID_REQUEST")
            #expect(error.reply.header("Sec-WebSocket-Version") == (handshake.status == 426 ? "13" : nil), "\(error.reply.headers)")
        }
    }

    @Test func onlyGetOpensAWebSocket() async throws {
        let client = try await SharedServer.client("live-handshake")
        let fields = LiveSocket.handshake.joined(separator: "\r\n")
        let head = "POST /ws HTTP/1.1\r\nHost: x\r\n\(fields)\r\nAuthorization: Bearer \(client.token ?? "")\r\nContent-Length: 0\r\n\r\n"
        let reply = try await RawConnection.exchange(port: client.port, Array(head.utf8))
        #expect(reply?.status == 405, "\(String(describing: reply))")
    }

    /// Compression, a subprotocol that Drive speaks, and ones that it does not.
    @Test func offersAreAnswered() async throws {
        let client = try await SharedServer.client("live-handshake")
        let fields = LiveSocket.handshake + ["Sec-WebSocket-Protocol: chat, drive.v1"]
        try await LiveSocket.open(client.port, token: client.token, fields: fields).begin()
        try await LiveSocket.open(client.port, token: client.token, fields: LiveSocket.handshake + ["Sec-WebSocket-Protocol: chat"]).begin()
    }

    /// While many misbehave at once, others get answers and events.
    @Test func othersDoNotNotice() async throws {
        let server = try await SharedServer.get()
        let client = try await SharedServer.client("live-others")
        let offender = try await SharedServer.client("live-offender")
        let live = try await LiveSocket.signedIn(client)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for misuse in Misuse.allCases where misuse != .badCloseCode {
                group.addTask {
                    let live = try await LiveSocket.signedIn(offender)
                    async let sent: Void = live.send(misuse.bytes)
                    try await live.expectClosed(misuse.code, "\(misuse)")
                    await sent
                }
            }
            for round in 0..<20 {
                let start = ContinuousClock.now
                let task = try await client.makeCustom(uniqueKind("live-others"))
                #expect(try await live.packet("task.created").taskId == task.taskId)
                #expect(ContinuousClock.now - start < .seconds(5), "round \(round)")
            }
            try await group.waitForAll()
        }
        #expect(server.ended == nil)
    }
}
