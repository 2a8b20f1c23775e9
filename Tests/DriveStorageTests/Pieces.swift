import DriveCrypto
import NIOCore
import TestSupport

@testable import DriveStorage

extension PieceBuffer {
    /// A piece for an offset of a file, filled from these buffers one after another.
    static func holding(_ buffers: ArraySlice<UInt8>..., at offset: Int64, capacity: Int = 1 << 20) -> PieceBuffer {
        let piece = PieceBuffer(capacity: capacity)
        piece.begin(at: offset)
        for bytes in buffers {
            var buffer = ByteBuffer(bytes: bytes)
            piece.append(from: &buffer)
        }
        return piece
    }

    var content: [UInt8] { Array(bytes) }
}

extension PiecePool {
    /// Bytes in pieces that did not come back.
    var takenBytes: Int {
        var probes: [PieceBuffer] = []
        // A piece that is new says that none lies idle any more.
        while true {
            let before = bytes
            probes.append(take())
            if bytes != before { break }
        }
        defer { for probe in probes { giveBack(probe) } }
        return probes.reduce(bytes) { $0 - $1.capacity }
    }
}

extension ChunkWriter {
    /// Writes bytes in pieces of this size, as they come to lie in the file's pages; the pieces are of the writer's own.
    mutating func write(_ bytes: ArraySlice<UInt8>, pieceSize: Int) async throws {
        var buffer = ByteBuffer(bytes: bytes)
        var spare: PieceBuffer?
        while buffer.readableBytes > 0 {
            let piece = spare ?? PieceBuffer(capacity: pieceSize)
            piece.begin(at: position)
            piece.append(from: &buffer)
            spare = try await settle()
            begin(piece)
        }
        _ = try await settle()
        finish()
    }
}

extension StorageFixture {
    /// As `bytes`, eight at a time: for files of megabytes.
    static func words(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var generator = SeededGenerator(seed: seed)
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            let memory = UnsafeMutableRawBufferPointer(buffer)
            for position in stride(from: 0, to: count, by: 8) {
                withUnsafeBytes(of: generator.next()) { word in
                    let part = memory[position..<min(position + 8, count)]
                    UnsafeMutableRawBufferPointer(rebasing: part).copyMemory(from: UnsafeRawBufferPointer(rebasing: word[..<part.count]))
                }
            }
            initialized = count
        }
    }
}

extension FileDigest {
    init(of bytes: some Collection<UInt8>) {
        self.init()
        Array(bytes).withUnsafeBytes { update($0) }
    }
}
