import NIOCore
import TestSupport
import Testing

@testable import DriveStorage

/// The memory of a body on its way to the disk.
@Suite struct PieceBufferTests {
    private static let page = PieceBuffer.alignment

    /// Bytes lie in memory as in the file's pages, whatever the offset, and a full piece ends with a page.
    @Test(arguments: [0, 1, 512, 4095, 4096, 4097, 131_072, 5_242_880 + 123, (1 << 40) + 1, (5 << 40) - 1] as [Int64])
    func bytesLieAsInTheFile(offset: Int64) {
        let bytes = StorageFixture.words(4 * Self.page + 10)
        let piece = PieceBuffer(capacity: 4 * Self.page)
        // What was there before does not matter.
        piece.begin(at: 77)
        var other = ByteBuffer(repeating: 9, count: 1000)
        piece.append(from: &other)
        piece.begin(at: offset)
        #expect(piece.count == 0)
        #expect(!piece.isFull)

        var buffer = ByteBuffer(bytes: bytes)
        piece.append(from: &buffer)
        let lead = Int(offset % Int64(Self.page))
        #expect(piece.isFull)
        #expect(piece.count == 4 * Self.page - lead)
        #expect((offset + Int64(piece.count)) % Int64(Self.page) == 0)
        #expect(buffer.readableBytes == bytes.count - piece.count)
        #expect(piece.content + Array(buffer.readableBytesView) == bytes)
        let address = UInt(bitPattern: piece.bytes.baseAddress)
        #expect(address % UInt(Self.page) == UInt(lead))
    }

    @Test func buffersAreAppendedOneAfterAnother() {
        var generator = SeededGenerator(seed: 31)
        for round in 0..<100 {
            let capacity = Self.page * Int.random(in: 1...4, using: &generator)
            let piece = PieceBuffer(capacity: capacity)
            let offset = Int64.random(in: 0..<10_000, using: &generator)
            piece.begin(at: offset)
            var expected: [UInt8] = []
            while !piece.isFull {
                let bytes = StorageFixture.words(Int.random(in: 0...5000, using: &generator), seed: generator.next())
                var buffer = ByteBuffer(bytes: bytes)
                piece.append(from: &buffer)
                let taken = bytes.count - buffer.readableBytes
                expected += bytes[..<taken]
                // The front is taken, and a rest is left only by a piece that is full.
                #expect(Array(buffer.readableBytesView) == Array(bytes[taken...]))
                #expect(buffer.readableBytes == 0 || piece.isFull)
            }
            #expect(piece.content == expected, "round \(round)")
            var more = ByteBuffer(bytes: [1, 2, 3])
            piece.append(from: &more)
            #expect(more.readableBytes == 3)
            #expect(piece.content == expected)
        }
    }

    @Test(arguments: [(0, 100, 100), (0, 1 << 20, 8192), (4000, 100, 100), (4000, 1 << 20, 8192 - 4000), (1, 0, 0)])
    func aReaderGetsTheRoomThatIsLeft(offset: Int, limit: Int, room: Int) throws {
        let piece = PieceBuffer(capacity: 2 * Self.page)
        piece.begin(at: Int64(offset))
        let count = piece.fill(atMost: limit) { memory in
            #expect(memory.count == room)
            memory.copyBytes(from: [5, 6, 7].prefix(room))
            return min(3, room)
        }
        #expect(count == min(3, room))
        #expect(piece.content == Array([5, 6, 7].prefix(room)))
        // A short read is followed by one behind it.
        let rest = piece.fill(atMost: limit) { $0.count }
        #expect(piece.count == count + rest)
        #expect(rest == min(limit, 2 * Self.page - offset - count))
        struct Failed: Error {}
        let before = piece.content
        #expect(throws: Failed.self) { try piece.fill(atMost: 1) { _ throws -> Int in throw Failed() } }
        #expect(piece.content == before)
    }
}
