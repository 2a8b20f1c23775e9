import DriveModel
import Foundation
import TestSupport
import Testing

/// What is too big costs the server nothing, however often it is sent: its memory's peak stays below what one of them holds.
@Suite(.timeLimit(.minutes(1))) struct LiveMemoryTests {
    private static let bound = 4 << 20

    @Test func framesOfTenMegabytesAreNotKept() async throws {
        let frame = LiveMisuseTests.Misuse.tenMegabytes.bytes
        try await measure("live-large", times: 20) { client in
            let live = try await Self.open(client, LiveSocket.handshake)
            async let sent: Void = live.send(frame)
            try await live.expectClosed(1009)
            await sent
        }
    }

    /// On the wire 1 KiB, and as much as a frame may have: they stand for 1 MiB and for 75.
    @Test(arguments: [(wire: 1024, whole: 1 << 20), (wire: 72 << 10, whole: 75_000_000)])
    func bombsAreNotInflated(wire: Int, whole: Int) async throws {
        let bomb = Self.compressed(Self.spaces(wire))
        #expect(Self.inflatedSize(wire) >= whole - whole / 100)
        // The same compression is read where there is little behind it: a ping, stored (RFC 7692 §7.2.3.3).
        let ping = Array(#"{"type":"ping"}"#.utf8)
        let length = UInt8(ping.count)
        let small = Self.compressed([0, length, 0, ~length, 0xFF] + ping + [0])
        try await measure("live-bomb-\(wire)", times: 50) { client in
            let live = try await Self.open(client, LiveSocket.compressingHandshake)
            await live.send(small)
            try await live.packet("pong")
            await live.send(bomb)
            try await live.expectClosed(1009)
        }
    }

    private static func open(_ client: TestClient, _ fields: [String]) async throws -> LiveSocket {
        let live = try await LiveSocket.open(client.port, fields: fields)
        guard client.token != nil else { return live }
        await live.signIn(client)
        try await live.begin()
        return live
    }

    /// Repeats it with and without a sign-in, after a few times that make what the server keeps anyway.
    private func measure(
        _ name: String, times: Int, _ misuse: @escaping @Sendable (TestClient) async throws -> Void
    ) async throws {
        try await withServer(name, checks: false) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            let everybody = [client, client.with(token: nil)]
            for client in everybody + everybody { try await misuse(client) }
            // The least of three: what is kept shows in each, what the server makes once or the system takes its time for does not.
            var growths: [Int] = []
            for _ in 0..<3 {
                let growth = try await server.growth {
                    for index in 0..<times { try await misuse(everybody[index % everybody.count]) }
                }
                growths.append(growth)
            }
            let least = try #require(growths.min())
            #expect(least < Self.bound, "the peaks are \(growths.map { $0 >> 10 }) KiB higher")
            #expect(try await client.get("/tasks").status == 200)
        }
    }

    // MARK: A bomb

    /// A block of DEFLATE (RFC 1951) for spaces, as zlib begins it for millions of them. Each further byte of zeros is four
    /// references to the 258 bytes before.
    private static let beginning: [UInt8] = [
        0xEC, 0xC1, 0x81, 0x00, 0x00, 0x00, 0x00, 0xC3, 0x20, 0x95, 0xF9, 0x53, 0x1E, 0xE4, 0x55, 0x01,
    ]

    private static func spaces(_ wire: Int) -> [UInt8] { beginning + [UInt8](repeating: 0, count: wire - beginning.count) }

    private static func inflatedSize(_ wire: Int) -> Int { (wire - beginning.count) * 4 * 258 }

    /// A text frame with the bit of compression (RFC 7692 §6).
    private static func compressed(_ payload: [UInt8]) -> [UInt8] { LiveFrame(opcode: 0x40 | LiveFrame.text, payload: payload).encoded() }
}
