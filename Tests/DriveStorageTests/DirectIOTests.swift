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

/// Writes and reads around the page cache. Where the file system has none they go through it: all of this holds there too.
@Suite(.timeLimit(.minutes(2)))
struct DirectIOTests {
    private static func file(_ folder: String, flags: Int32 = O_RDWR | O_CREAT, size: Int64? = nil) throws -> OpenFile {
        let file = try OpenFile(path: folder + "/file", flags: flags, bypassingCache: true)
        if let size { try file.preallocate(size, keepSize: false) }
        return file
    }

    /// What another descriptor sees, through the cache.
    private static func cached(_ folder: String) throws -> [UInt8] {
        try OpenFile(path: folder + "/file", flags: O_RDONLY).readAll()
    }

    private static let starts: [Int64] = [0, 1, 4095, 4096, 65_536 * 3 + 7, 1_000_003]
    private static let sizes = [1, 4095, 262_143, 262_144, 266_239, 266_240, 1 << 20, (3 << 20) + 17]

    @Test(arguments: starts, sizes)
    func whatWasWrittenIsRead(start: Int64, size: Int) async throws {
        try await StorageFixture.with { folder, io in
            let bytes = StorageFixture.words(size, seed: UInt64(start) + UInt64(size))
            let file = try Self.file(folder, size: start + Int64(size) + 5000)
            var writer = ChunkWriter(file: file, io: io, start: start, digests: ChunkDigests(wholeFile: FileDigest()))
            try await writer.write(bytes[...], pieceSize: 1 << 20)
            #expect(writer.written == Int64(size))
            #expect(writer.digests.crc32c == FileDigest(of: bytes).crc32c)
            #expect(writer.digests.wholeFile?.hexDigest() == FileDigest(of: bytes).hexDigest())
            let expected = [UInt8](repeating: 0, count: Int(start)) + bytes + [UInt8](repeating: 0, count: 5000)
            #expect(try Self.cached(folder) == expected)
            let range = start..<start + Int64(size)
            let hash = try await RangeHasher.hash(file, range: range, continuing: FileDigest(), io: io) { _, _ in true }
            #expect(hash?.hexDigest() == FileDigest(of: bytes).hexDigest())
            #expect(try await RangeHasher.crc32c(file, range: range, io: io) == FileDigest(of: bytes).crc32c)
            try file.sync()
        }
    }

    /// A file that grows by its writes, as one sent in one request does.
    @Test func aFileGrows() async throws {
        try await StorageFixture.with { folder, io in
            let bytes = StorageFixture.words(2_500_001)
            let file = try Self.file(folder)
            var writer = ChunkWriter(file: file, io: io, start: 0, digests: ChunkDigests())
            try await writer.write(bytes[...], pieceSize: 1 << 20)
            #expect(try Self.cached(folder) == bytes)
        }
    }

    /// Chunks whose ends share a page, written at the same time: large pieces around the cache, small ones through it, over
    /// what was there before, while others read. No byte of a neighbour changes, and the flush meets no error.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func neighboursKeepTheirBytes(seed: UInt64) async throws {
        try await StorageFixture.with { folder, io in
            let (count, size) = (8, 700_001)
            let file = try Self.file(folder, size: Int64(count * size))
            for round in 0..<2 as Range<UInt64> {
                let bytes = StorageFixture.words(count * size, seed: seed &* 100 &+ round)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for index in 0..<count {
                        group.addTask {
                            // Pieces of 128 KiB are below what goes around the cache.
                            let pieceSize = (index + Int(round)) % 3 == 0 ? 128 << 10 : 1 << (18 + index % 3)
                            let start = index * size
                            var writer = ChunkWriter(file: file, io: io, start: Int64(start), digests: ChunkDigests())
                            try await writer.write(bytes[start..<start + size], pieceSize: pieceSize)
                            #expect(writer.digests.crc32c == FileDigest(of: bytes[start..<start + size]).crc32c)
                        }
                        // As the follower does; what it reads may be old or new.
                        group.addTask {
                            let range = Int64(index * size) + 1..<Int64((index + 1) * size)
                            _ = try await RangeHasher.hash(file, range: range, continuing: FileDigest(), io: io) { _, _ in true }
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(try Self.cached(folder) == bytes, "round \(round)")
                let hash = try await RangeHasher.hash(file, range: 0..<Int64(bytes.count), continuing: FileDigest(), io: io) { _, _ in true
                }
                #expect(hash?.hexDigest() == FileDigest(of: bytes).hexDigest())
                try file.sync()
            }
        }
    }

    /// Bytes that the cache has, clean or not, are seen by reads around it, and are replaced by writes around it.
    @Test func bothWaysSeeOneFile() async throws {
        try await StorageFixture.with { folder, io in
            let file = try Self.file(folder, size: 2 << 20)
            let beside = try OpenFile(path: folder + "/file", flags: O_RDWR)
            var expected = StorageFixture.words(2 << 20, seed: 1)
            try beside.write(expected)
            #expect(try file.readAll() == expected)
            let middle = StorageFixture.words(1 << 20, seed: 2)
            expected.replaceSubrange(500_000..<500_000 + middle.count, with: middle)
            var writer = ChunkWriter(file: file, io: io, start: 500_000, digests: ChunkDigests())
            try await writer.write(middle[...], pieceSize: 2 << 20)
            #expect(try beside.readAll() == expected)
            #expect(try file.readAll() == expected)
        }
    }

    @Test(arguments: [0, 1, 4096, 300_000, (1 << 20) + 4096] as [Int64])
    func aFileThatEndsEarlyIsAnError(start: Int64) async throws {
        try await StorageFixture.with { folder, io in
            let bytes = StorageFixture.words((2 << 20) + 100)
            let file = try Self.file(folder, size: Int64(bytes.count))
            try file.write(bytes)
            let whole = start..<Int64(bytes.count)
            let hash = try await RangeHasher.hash(file, range: whole, continuing: FileDigest(), io: io) { _, _ in true }
            #expect(hash?.hexDigest() == FileDigest(of: bytes[Int(start)...]).hexDigest())
            for missing in [1, 4096, 3 << 20] as [Int64] {
                let range = start..<whole.upperBound + missing
                await #expect(throws: StorageError("pread", EIO)) {
                    try await RangeHasher.hash(file, range: range, continuing: FileDigest(), io: io) { _, _ in true }
                }
                await #expect(throws: StorageError("pread", EIO)) { try await RangeHasher.crc32c(file, range: range, io: io) }
            }
        }
    }

    /// That they do go around it, where that can be seen: a file system that can drop what it has in its cache.
    @Test func nothingStaysInTheCache() async throws {
        try await StorageFixture.with { folder, io in
            let bytes = StorageFixture.words(1 << 20)
            let control = try OpenFile(path: folder + "/control", flags: O_RDWR | O_CREAT)
            try control.write(bytes)
            try control.sync()
            #expect(Self.hasCached(control))
            posix_fadvise(control.descriptor, 0, 0, POSIX_FADV_DONTNEED)
            let file = try Self.file(folder, size: 1 << 20)
            guard file.bypassesCache, !Self.hasCached(control) else { return }
            var writer = ChunkWriter(file: file, io: io, start: 0, digests: ChunkDigests())
            try await writer.write(bytes[...], pieceSize: 1 << 20)
            let hash = try await RangeHasher.hash(file, range: 0..<1 << 20, continuing: FileDigest(), io: io) { _, _ in true }
            #expect(hash?.hexDigest() == FileDigest(of: bytes).hexDigest())
            // Asked once, at the end: the question makes the kernel read ahead.
            #expect(!Self.hasCached(file))
        }
    }

    private static func hasCached(_ file: OpenFile) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 4096)
        return bytes.withUnsafeMutableBytes { file.readCached(into: $0, at: 512 << 10) } > 0
    }

    /// A file that has no such twin is written as any other.
    @Test func whereThereIsNoTwinTheCacheServes() throws {
        let file = try OpenFile(path: "/dev/null", flags: O_RDWR, bypassingCache: true)
        #expect(!file.bypassesCache)
        try file.write(StorageFixture.words(1 << 20))
    }

    /// Refused once, it is left alone: the caller writes and reads through the cache.
    @Test func aRefusalIsRemembered() async throws {
        try await StorageFixture.with { folder, _ in
            let plain = try OpenFile(path: folder + "/file", flags: O_RDWR | O_CREAT)
            try plain.preallocate(2 << 20, keepSize: false)
            guard let direct = DirectDescriptor(twinOf: plain.descriptor) else { return }
            let piece = PieceBuffer.holding(StorageFixture.words(1 << 20)[...], at: 0)
            #expect(direct.isUsable)
            #expect(direct.pages(of: piece.bytes, at: 0) == 0..<1 << 20)
            // Half a sector: what a file system says that wants larger pages than ours.
            let odd = UnsafeRawBufferPointer(rebasing: piece.bytes[100..<5000])
            let written = try direct.write(odd, at: 300)
            #expect(written == 0 || written == odd.count)
            #expect(direct.isUsable == (written > 0))
            #expect((direct.pages(of: piece.bytes, at: 0) == nil) == (written == 0))
        }
    }

    /// The rule alone: `lead` is where the bytes lie in their page in memory.
    @Test(
        arguments: [
            // Memory and file agree: what is before the first page and behind the last is for the cache.
            (0, 0, 1 << 20, 0..<1 << 20), (0, 4096, 262_144, 0..<262_144), (0, 8192, 262_144 + 4095, 0..<262_144),
            (1, 1, 1 << 20, 4095..<4095 + (255 << 12)), (4095, 4095 + (7 << 12), 262_145, 1..<262_145), (100, 100, 266_139, nil),
            (100, 100, 266_140, 3996..<266_140),
            // Too few.
            (0, 0, 262_143, nil), (1, 1, 262_144, nil), (0, 0, 0, nil), (5, 5, 1, nil),
            // Memory and file do not agree.
            (0, 1, 1 << 20, nil), (1, 0, 1 << 20, nil), (512, 1024, 1 << 20, nil),
        ] as [(Int, Int64, Int, Range<Int>?)])
    func wholePagesGoAround(lead: Int, offset: Int64, count: Int, expected: Range<Int>?) async throws {
        try await StorageFixture.with { folder, _ in
            let plain = try OpenFile(path: folder + "/file", flags: O_RDWR | O_CREAT)
            guard let direct = DirectDescriptor(twinOf: plain.descriptor) else { return }
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: (1 << 20) + 8192, alignment: 4096)
            defer { memory.deallocate() }
            let pages = direct.pages(of: UnsafeRawBufferPointer(rebasing: memory[lead..<lead + count]), at: offset)
            #expect(pages == expected)
            guard let pages else { return }
            #expect((offset + Int64(pages.lowerBound)) % 4096 == 0 && pages.count % 4096 == 0 && pages.count >= DirectDescriptor.least)
            #expect(count - pages.upperBound < 4096 && pages.lowerBound < 4096)
        }
    }
}
