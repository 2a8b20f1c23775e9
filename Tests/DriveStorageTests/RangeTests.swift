import DriveCrypto
import DriveModel
import Foundation
import NIOCore
import Testing

@testable import DriveStorage

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Writers and readers of ranges.
@Suite struct RangeTests {
    private static func file(_ folder: String, _ bytes: [UInt8], faults: String = "") throws -> OpenFile {
        let file = try OpenFile(path: folder + "/file", flags: O_RDWR | O_CREAT, faults: try Faults(specification: faults))
        if !bytes.isEmpty { try file.write(bytes) }
        return file
    }

    @Test func aChunkIsWrittenAtItsPlaceAndHashedOnTheWay() async throws {
        try await StorageFixture.with { folder, io in
            let bytes = StorageFixture.bytes(300_000)
            let file = try Self.file(folder, [])
            let before = FileDigest(of: "before".utf8)
            var writer = ChunkWriter(file: file, io: io, start: 1000, digests: ChunkDigests(wholeFile: before, body: [.sha256]))
            #expect(try await writer.settle() == nil)
            for start in stride(from: 0, to: bytes.count, by: 70_000) {
                let part = bytes[start..<min(start + 70_000, bytes.count)]
                #expect(writer.position == Int64(1000 + start))
                let piece = PieceBuffer.holding(part.prefix(30_001), [], part.dropFirst(30_001), at: writer.position)
                writer.begin(piece)
                // The memory comes back and may be filled with other bytes.
                #expect(try await writer.settle() === piece)
                piece.begin(at: writer.position)
            }
            #expect(try await writer.settle() == nil)
            #expect(writer.written == 300_000)
            #expect(writer.digests.crc32c == bytes.withUnsafeBytes { CRC32C.checksum(of: $0) })
            let whole = FileDigest(of: Array("before".utf8) + bytes)
            #expect(writer.digests.wholeFile?.hexDigest() == whole.hexDigest())
            #expect(writer.digests.wholeFile?.crc32c == whole.crc32c)
            #expect(writer.digests.value(of: .sha256) == FileDigest(of: bytes).sha256.digest())
            #expect(try file.readAll() == [UInt8](repeating: 0, count: 1000) + bytes)
        }
    }

    @Test(arguments: [("errno=ENOSPC", ENOSPC), ("errno=EIO", EIO), ("short", ENOSPC)])
    func aRefusedPieceChangesNoDigest(action: String, errno: Int32) async throws {
        try await StorageFixture.with { folder, io in
            let file = try Self.file(folder, [], faults: "chunk.write.before:\(action)@2")
            var writer = ChunkWriter(
                file: file, io: io, start: 0, digests: ChunkDigests(wholeFile: FileDigest(), body: [.sha256]))
            writer.begin(.holding([1, 2, 3], at: 0))
            _ = try await writer.settle()
            writer.begin(.holding([4, 5], at: 3))
            await #expect(throws: StorageError("pwrite", errno)) { try await writer.settle() }
            let expected = FileDigest(of: [1, 2, 3])
            #expect(writer.digests.crc32c == expected.crc32c)
            #expect(writer.digests.wholeFile?.byteCount == 3)
            #expect(writer.digests.wholeFile?.hexDigest() == expected.hexDigest())
            #expect(writer.digests.value(of: .sha256) == expected.sha256.digest())
            // The error was told once; nothing is under way.
            #expect(try await writer.settle() == nil)
        }
    }

    @Test(arguments: [0..<300_000, 0..<0, 0..<1, 299_999..<300_000, 100..<70_000] as [Range<Int64>], [1000, 65_536, 1 << 20])
    func aRangeIsReadWhole(range: Range<Int64>, piece: Int) async throws {
        try await StorageFixture.with { folder, io in
            let bytes = StorageFixture.bytes(300_000)
            var reader = RangeReader(file: try Self.file(folder, bytes), io: io, range: range)
            var read: [UInt8] = []
            while let buffer = try await reader.next(atMost: piece, allocator: ByteBufferAllocator()) {
                #expect(buffer.readableBytes > 0 && buffer.readableBytes <= piece)
                read.append(contentsOf: buffer.readableBytesView)
            }
            #expect(read == Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)]))
        }
    }

    /// The reader of a damaged blob gets an error, never a short success.
    @Test func aFileThatEndsEarlyIsAnError() async throws {
        try await StorageFixture.with { folder, io in
            let file = try Self.file(folder, StorageFixture.bytes(1000))
            var reader = RangeReader(file: file, io: io, range: 0..<1001)
            #expect(try await reader.next(atMost: 600, allocator: ByteBufferAllocator())?.readableBytes == 600)
            await #expect(throws: StorageError("pread", EIO)) {
                while try await reader.next(atMost: 600, allocator: ByteBufferAllocator()) != nil {}
            }
            await #expect(throws: StorageError("pread", EIO)) {
                try await RangeHasher.hash(file, range: 0..<1001, continuing: FileDigest(), io: io) { _, _ in true }
            }
            await #expect(throws: StorageError("pread", EIO)) { try await RangeHasher.crc32c(file, range: 500..<1001, io: io) }
        }
    }

    @Test func aRangeIsHashedOnFromWhereItWas() async throws {
        try await StorageFixture.with { folder, io in
            let bytes = StorageFixture.bytes(3_500_000)
            let file = try Self.file(folder, bytes)
            let start = FileDigest(of: bytes[..<1001])
            let positions = Positions()
            let hash = try await RangeHasher.hash(file, range: 1001..<3_500_000, continuing: start, io: io) { position, hash in
                positions.add(position)
                return hash.byteCount == position
            }
            let whole = FileDigest(of: bytes)
            #expect(hash?.hexDigest() == whole.hexDigest())
            #expect(hash?.crc32c == whole.crc32c)
            #expect(positions.all == positions.all.sorted())
            #expect(positions.all.last == 3_500_000)
            #expect(
                try await RangeHasher.crc32c(file, range: 7..<3_000_000, io: io)
                    == bytes[7..<3_000_000].withUnsafeBytes { CRC32C.checksum(of: $0) })
        }
    }

    @Test func hashingStopsWhereItIsTold() async throws {
        try await StorageFixture.with { folder, io in
            let file = try Self.file(folder, StorageFixture.bytes(3_000_000))
            let positions = Positions()
            let hash = try await RangeHasher.hash(file, range: 0..<3_000_000, continuing: FileDigest(), io: io) { position, _ in
                positions.add(position)
                return false
            }
            #expect(hash == nil)
            #expect(positions.all.count == 1)
        }
    }
}
