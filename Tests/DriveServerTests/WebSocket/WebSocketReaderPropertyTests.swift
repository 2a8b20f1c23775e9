import DriveCompression
import NIOCore
import NIOWebSocket
import TestSupport
import Testing

@testable import DriveServer

@Suite struct WebSocketReaderPropertyTests {
    private static func text(_ count: Int, _ random: inout SeededGenerator) -> String {
        let samples: [Character] = ["a", "b", " ", "é", "€", "😀", "\n"]
        return String((0..<count).map { _ in samples.randomElement(using: &random) ?? "a" })
    }

    /// The bytes cut anywhere, empty pieces too, with control frames in between.
    private static func frames(
        _ payload: [UInt8], isCompressed: Bool, _ random: inout SeededGenerator
    ) -> (frames: [WebSocketFrame], controls: [WebSocketMessageReader.Event]) {
        let cuts = (0..<Int.random(in: 0...6, using: &random)).map { _ in Int.random(in: 0...payload.count, using: &random) }.sorted()
        let bounds = [0] + cuts + [payload.count]
        var frames: [WebSocketFrame] = []
        var controls: [WebSocketMessageReader.Event] = []
        for index in 1..<bounds.count {
            let piece = Array(payload[bounds[index - 1]..<bounds[index]])
            let isFirst = index == 1
            frames.append(
                clientFrame(isFirst ? .text : .continuation, piece, fin: index == bounds.count - 1, rsv1: isFirst && isCompressed))
            if index < bounds.count - 1, Bool.random(using: &random) {
                frames.append(clientFrame(.ping, "\(index)"))
                controls.append(.ping("\(index)"))
            }
        }
        return (frames, controls)
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func fragmentationChangesNothing(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let deflater = try #require(RawDeflater(windowBits: 15, memoryLevel: 8))
        for _ in 0..<30 {
            let message = Self.text(Int.random(in: 0...600, using: &random), &random)
            let isCompressed = Bool.random(using: &random)
            let payload = isCompressed ? try #require(deflated(Array(message.utf8), with: deflater)) : Array(message.utf8)
            let (frames, controls) = Self.frames(payload, isCompressed: isCompressed, &random)
            let scenario = ReaderCase("fragments", frames, []).with { $0.isCompressionAgreed = true }
            #expect(scenario.run() == controls + [.text(message)])
        }
    }

    /// Any frames: no crash, at most one failure, nothing but a close after it, and messages within the limits.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func survivesAnything(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var ends: Set<String> = []
        for _ in 0..<100 {
            let frames = try (0..<12).map { _ in
                // Mostly the known opcodes, now and then a reserved one.
                let known: [UInt8] = [0, 0, 0, 1, 1, 2, 9, 10, 0, 1, 0, 8, 7]
                let number = try #require(known.randomElement(using: &random))
                let opcode = try #require(WebSocketOpcode(encodedWebSocketOpcode: number))
                let length = Int.random(in: 0...(Bool.random(using: &random) ? 8 : 140), using: &random)
                let ascii = Int.random(in: 0...3, using: &random) > 0
                return clientFrame(
                    opcode, (0..<length).map { _ in .random(in: 0...(ascii ? 127 : 255), using: &random) },
                    fin: opcode.isControlOpcode ? Int.random(in: 0...20, using: &random) > 0 : Bool.random(using: &random),
                    rsv1: Int.random(in: 0...5, using: &random) == 0, rsv2: Int.random(in: 0...50, using: &random) == 0,
                    masked: Int.random(in: 0...50, using: &random) > 0)
            }
            let scenario = ReaderCase("anything", frames, []).with {
                $0.isCompressionAgreed = true
                $0.limits.messageBytes = 200
            }
            let events = scenario.run()
            let end = events.firstIndex { event in
                switch event {
                case .failed, .close: true
                default: false
                }
            }
            for (index, event) in events.enumerated() {
                switch event {
                case .text(let payload), .binary(let payload), .ping(let payload), .pong(let payload):
                    #expect(payload.readableBytes <= 200 && index <= end ?? index)
                case .failed(let violation):
                    #expect(index == end)
                    ends.insert(violation.rawValue)
                case .close:
                    #expect(index == events.count - 1)
                }
            }
        }
        // The frames reach all kinds of failure, so that the test can tell something.
        #expect(ends.count >= 8, "\(ends)")
    }
}

/// A message deflated as a client does; nil where it failed.
func deflated(_ payload: [UInt8], with deflater: RawDeflater) -> [UInt8]? {
    var output = [UInt8](repeating: 0, count: payload.count + payload.count / 8 + 64)
    let length = payload.withUnsafeBytes { source in output.withUnsafeMutableBytes { deflater.deflate(source, into: $0) } }
    return length.map { Array(output[..<$0]) }
}
