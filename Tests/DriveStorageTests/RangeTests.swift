import DriveCrypto
import DriveModel
import DriveStorage
import Foundation
import NIOCore
import Testing

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
            var before = SHA256Stream()
            [UInt8]("before".utf8).withUnsafeBytes { before.update($0) }
            var writer = ChunkWriter(file: file, io: io, start: 1000, digests: ChunkDigests(wholeFile: before, chunk: SHA256Stream()))
            for start in stride(from: 0, to: bytes.count, by: 70_000) {
                let part = bytes[start..<min(start + 70_000, bytes.count)]
                try await writer.write([ByteBuffer(bytes: part.prefix(30_001)), ByteBuffer(), ByteBuffer(bytes: part.dropFirst(30_001))])
            }
            #expect(writer.written == 300_000)
            #expect(writer.digests.crc32c == bytes.withUnsafeBytes { CRC32C.checksum(of: $0) })
            var whole = before
            bytes.withUnsafeBytes { whole.update($0) }
            #expect(writer.digests.wholeFile?.digest() == whole.digest())
            var chunk = SHA256Stream()
            bytes.withUnsafeBytes { chunk.update($0) }
            #expect(writer.digests.chunk?.digest() == chunk.digest())
            #expect(try file.readAll() == [UInt8](repeating: 0, count: 1000) + bytes)
        }
    }

    @Test func aRefusedPieceDoesNotCount() async throws {
        try await StorageFixture.with { folder, io in
            let file = try Self.file(folder, [], faults: "chunk.write.before:errno=ENOSPC@2")
            var writer = ChunkWriter(file: file, io: io, start: 0, digests: ChunkDigests())
            try await writer.write([ByteBuffer(bytes: [1, 2, 3])])
            let crc = writer.digests.crc32c
            await #expect(throws: StorageError("pwrite", ENOSPC)) { try await writer.write([ByteBuffer(bytes: [4, 5])]) }
            #expect(writer.written == 3)
            #expect(writer.digests.crc32c == crc)
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
            await #expect(throws: StorageError("pread", EIO)) { try await reader.next(atMost: 600, allocator: ByteBufferAllocator()) }
            await #expect(throws: StorageError("pread", EIO)) {
                try await RangeHasher.hash(file, range: 0..<1001, continuing: SHA256Stream(), io: io) { _, _ in true }
            }
            await #expect(throws: StorageError("pread", EIO)) { try await RangeHasher.crc32c(file, range: 500..<1001, io: io) }
        }
    }

    @Test func aRangeIsHashedOnFromWhereItWas() async throws {
        try await StorageFixture.with { folder, io in
            let bytes = StorageFixture.bytes(3_500_000)
            let file = try Self.file(folder, bytes)
            var start = SHA256Stream()
            bytes[..<1001].withUnsafeBytes { start.update($0) }
            let positions = Positions()
            let hash = try await RangeHasher.hash(file, range: 1001..<3_500_000, continuing: start, io: io) { position, hash in
                positions.add(position)
                return hash.byteCount == position
            }
            var whole = SHA256Stream()
            bytes.withUnsafeBytes { whole.update($0) }
            #expect(hash?.digest() == whole.digest())
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
            let hash = try await RangeHasher.hash(file, range: 0..<3_000_000, continuing: SHA256Stream(), io: io) { position, _ in
                positions.add(position)
                return false
            }
            #expect(hash == nil)
            #expect(positions.all.count == 1)
        }
    }
}
