import DriveCrypto
import DriveModel
import EngineTestSupport
import Foundation
import TestSupport
import Testing

@testable import DriveStorage
@testable import DriveUploads

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A body on its way to the file: gathered, written and hashed at the same time.
@Suite(.timeLimit(.minutes(2)))
struct BodyTransferTests {
    /// Bytes of the smallest piece.
    private static let piece = PiecePool.smallest
    private static let broken = DriveError(.bodyTruncated, "cut")

    /// The bytes in buffers of random sizes, some of them empty.
    private static func buffers(_ bytes: [UInt8], largest: Int, _ generator: inout SeededGenerator) -> [ScriptedBody.Step] {
        var steps: [ScriptedBody.Step] = []
        var position = 0
        while position < bytes.count {
            let size = Int.random(in: 0...largest, using: &generator)
            steps.append(.bytes(Array(bytes[position..<min(position + size, bytes.count)])))
            position += size
        }
        return steps
    }

    private static func expect(_ bytes: [UInt8], at start: Int64, of bench: TransferBench) {
        #expect(bench.content == [UInt8](repeating: 0, count: bytes.isEmpty ? 0 : Int(start)) + bytes)
    }

    /// However the bytes come, and wherever they belong.
    @Test(
        arguments: TransferBench.Memory.allCases,
        [(0, 1), (0, 131_072), (1, 131_072), (4095, 700_001), (4096, 524_288), (1_000_003, 1_300_000), (77, 0)] as [(Int64, Int)])
    func everyByteArrives(memory: TransferBench.Memory, place: (start: Int64, size: Int)) async throws {
        for (seed, largest) in [1 << 10, 16 << 10, 65_536, 200_000, 1 << 20].enumerated() {
            for bypassingCache in [false, true] {
                try await TransferBench.with(memory, bypassingCache: bypassingCache) { bench in
                    var generator = SeededGenerator(seed: UInt64(seed))
                    let bytes = Content(place.size, seed: UInt64(seed)).bytes
                    let steps = Self.buffers(bytes, largest: largest, &generator)
                    let writer = try await bench.carry(ScriptedBody(steps), from: place.start, limit: Int64(place.size))
                    #expect(writer.written == Int64(place.size))
                    #expect(writer.digests.crc32c == bytes.withUnsafeBytes { CRC32C.checksum(of: $0) })
                    Self.expect(bytes, at: place.start, of: bench)
                    let buffers = steps.filter { if case .bytes(let bytes) = $0 { !bytes.isEmpty } else { false } }
                    #expect(bench.seen.buffers == buffers.count)
                    #expect(bench.seen.areBalanced)
                    #expect(bench.takenBytes == 0)
                }
            }
        }
    }

    /// Few large writes, not one for each buffer of the network.
    @Test(arguments: TransferBench.Memory.allCases)
    func aPieceIsOneWrite(memory: TransferBench.Memory) async throws {
        try await TransferBench.with(memory) { bench in
            let bytes = Content(5 * Self.piece).bytes
            _ = try await bench.carry(ScriptedBody(bytes))
            #expect(bench.seen.writes == 5)
        }
    }

    /// The pool's load changes while a body is under way; others come and go.
    @Test func theLoadMayChange() async throws {
        try await TransferBench.with { bench in
            let content = Content(12 * Self.piece + 5)
            var steps: [ScriptedBody.Step] = []
            let gates = (0..<12).map { _ in (reached: Gate(), until: Gate()) }
            for (index, gate) in gates.enumerated() {
                steps.append(.bytes(Array(content.bytes[index * Self.piece..<(index + 1) * Self.piece])))
                steps.append(.pause(reached: gate.reached, until: gate.until))
            }
            steps.append(.bytes(Array(content.bytes[(12 * Self.piece)...])))
            async let carried = bench.carry(ScriptedBody(steps))
            for (index, gate) in gates.enumerated() {
                await gate.reached.wait()
                for _ in 0..<9 { index % 3 == 0 ? bench.pieces.bodyBegins() : index % 3 == 2 ? bench.pieces.bodyEnds() : () }
                gate.until.open()
            }
            let writer = try await carried
            #expect(writer.written == Int64(content.bytes.count))
            Self.expect(content.bytes, at: 0, of: bench)
            #expect(bench.seen.areBalanced)
            #expect(bench.takenBytes == 0)
        }
    }

    /// The byte beyond the limit ends it, wherever in the pieces it comes, and no byte beyond it is written.
    @Test(
        arguments: TransferBench.Memory.allCases,
        [(0, 1), (9999, 10_000), (131_072, 131_073), (300_000, 500_000), (524_287, 524_288)] as [(limit: Int64, size: Int)])
    func aBodyBeyondTheLimitIsRefused(memory: TransferBench.Memory, sizes: (limit: Int64, size: Int)) async throws {
        try await TransferBench.with(memory) { bench in
            let error = await #expect(throws: TransferBench.Excess.self) {
                try await bench.carry(ScriptedBody(Content(sizes.size).bytes), from: 5, limit: sizes.limit)
            }
            #expect(error.map { $0.seen > sizes.limit } == true)
            #expect(bench.content.count <= 5 + Int(sizes.limit))
            #expect(bench.seen.areBalanced)
            #expect(bench.takenBytes == 0)
        }
        // As many as it may have are fine.
        try await TransferBench.with(memory) { bench in
            let writer = try await bench.carry(ScriptedBody(Content(sizes.size).bytes), limit: Int64(sizes.size))
            #expect(writer.written == Int64(sizes.size))
        }
    }

    /// The body breaks while a piece is being written: the write ends before the error leaves, so that whoever comes next
    /// meets no late write.
    @Test(arguments: TransferBench.Memory.allCases)
    func aBrokenBodyLeavesNoWriteUnderWay(memory: TransferBench.Memory) async throws {
        let io = StoppableIO()
        await io.stop()
        do {
            try await TransferBench.with(memory, io: io.pool) { bench in
                let isBack = Flag()
                let bytes = Content(Self.piece).bytes
                let transfer = Task {
                    defer { isBack.raise() }
                    return try await bench.carry(ScriptedBody([.bytes(bytes), .fail(Self.broken)]))
                }
                let isBegun = await Result { () async throws in try await eventually { bench.seen.writes == 1 } }
                transfer.cancel()
                for _ in 0..<1000 { await Task.yield() }
                #expect(!isBack.isRaised)
                #expect(bench.content.isEmpty)
                io.go()
                let error = await #expect(throws: DriveError.self) { try await transfer.value }
                try isBegun.get()
                #expect(error?.code == .bodyTruncated)
                #expect(bench.content == bytes)
                #expect(bench.seen.areBalanced)
                #expect(bench.takenBytes == 0)
            }
        } catch {
            Issue.record(error)
        }
        await io.pool.close()
    }

    /// What was begun is written, wherever the body breaks.
    @Test(arguments: TransferBench.Memory.allCases, [0, 1, 131_072, 131_073, 300_000, 393_216])
    func aBodyMayBreakAnywhere(memory: TransferBench.Memory, size: Int) async throws {
        try await TransferBench.with(memory) { bench in
            let bytes = Content(size).bytes
            let error = await #expect(throws: DriveError.self) {
                try await bench.carry(ScriptedBody([.bytes(bytes), .fail(Self.broken)]))
            }
            #expect(error?.code == .bodyTruncated)
            // Whole pieces; the last one, that was not full, is not worth a write any more.
            #expect(bench.content == Array(bytes[..<(size / Self.piece * Self.piece)]))
            #expect(bench.seen.areBalanced)
            #expect(bench.takenBytes == 0)
        }
    }

    @Test(
        arguments: TransferBench.Memory.allCases,
        [("errno=ENOSPC@1", ENOSPC), ("errno=EIO@2", EIO), ("short@3", ENOSPC), ("errno=EIO@4", EIO), ("errno=EIO@1..99", EIO)])
    func aFailingWriteIsReported(memory: TransferBench.Memory, fault: (action: String, errno: Int32)) async throws {
        for bypassingCache in [false, true] {
            try await TransferBench.with(memory, faults: "chunk.write.before:\(fault.action)", bypassingCache: bypassingCache) { bench in
                let size = 3 * (bypassingCache ? 512 << 10 : Self.piece) + 100
                await #expect(throws: StorageError("pwrite", fault.errno)) {
                    try await bench.carry(ScriptedBody(Content(size).bytes))
                }
                #expect(bench.seen.areBalanced)
                #expect(bench.takenBytes == 0, "the piece whose write failed is out for ever")
            }
        }
    }

    /// The body breaks and the write that is under way fails: one error leaves, and nothing stays behind.
    @Test(arguments: TransferBench.Memory.allCases)
    func bothMayFail(memory: TransferBench.Memory) async throws {
        try await TransferBench.with(memory, faults: "chunk.write.before:errno=EIO@1") { bench in
            await #expect(throws: (any Error).self) {
                try await bench.carry(ScriptedBody([.bytes(Content(Self.piece).bytes), .fail(Self.broken)]))
            }
            #expect(bench.seen.areBalanced)
            #expect(bench.takenBytes == 0, "the piece whose write failed is out for ever")
        }
    }

    /// The chunk was taken over: nothing is written from then on, and what was refused has no end.
    @Test(arguments: TransferBench.Memory.allCases, [1, 2, 3, 4])
    func aRefusedWriteEndsIt(memory: TransferBench.Memory, refused: Int) async throws {
        try await TransferBench.with(memory) { bench in
            let bytes = Content(3 * Self.piece + 1).bytes
            let error = await #expect(throws: DriveError.self) {
                try await bench.carry(ScriptedBody(bytes)) { number in
                    if number == refused { throw DriveError(.chunkTakenOver, "taken") }
                }
            }
            #expect(error?.code == .chunkTakenOver)
            #expect(bench.seen.writes == refused - 1)
            #expect(bench.content == Array(bytes[..<((refused - 1) * Self.piece)]))
            #expect(bench.seen.areBalanced)
            #expect(bench.takenBytes == 0, "a piece was with nobody while the write was refused")
        }
    }

    /// A sender falls silent behind a whole piece: its write has ended, and who waits for that need not wait for the sender.
    @Test(arguments: TransferBench.Memory.allCases)
    func aWriteEndsWithoutMoreBytes(memory: TransferBench.Memory) async throws {
        try await TransferBench.with(memory) { bench in
            let (reached, until) = (Gate(), Gate())
            let bytes = Content(Self.piece).bytes
            async let carried = bench.carry(ScriptedBody([.bytes(bytes), .pause(reached: reached, until: until)]))
            defer { until.open() }
            await reached.wait()
            #expect(bench.seen.writes == 1)
            do { try await eventually(within: .seconds(3)) { bench.seen.areBalanced } } catch {
                Issue.record("the write is under way for as long as the sender is silent")
            }
            until.open()
            let writer = try await carried
            #expect(writer.written == Int64(Self.piece))
            #expect(bench.seen.areBalanced)
        }
    }

    /// The same, as a client sees it: the chunk sent again, or the cancel, does not wait for the silent connection.
    @Test(arguments: Engine.underTest, [false, true])
    func nobodyWaitsForASilentSender(engine: Engine, isCancel: Bool) async throws {
        try await Site.with(engine) { site in
            let drive = try await site.start {
                $0.defaultChunkSize = 5 * 65_536
                $0.stallTime = .milliseconds(50)
            }
            let upload = try await Content(2 * 5 * 65_536).create(on: drive)
            let (reached, until) = (Gate(), Gate())
            let silent = Task {
                let body = ScriptedBody([
                    .bytes(Array(repeating: 7, count: Self.piece)), .pause(reached: reached, until: until),
                    .bytes(Array(repeating: 7, count: 5 * 65_536 - Self.piece)),
                ])
                return try await drive.uploads.receiveChunk(0, of: upload.taskId, body: body, length: nil, by: upload.owner)
            }
            await reached.wait()
            let done = Flag()
            let other = Task {
                if isCancel {
                    try await drive.uploads.cancel(upload.taskId, by: upload.owner)
                } else {
                    try await drive.send(0, of: upload)
                }
                done.raise()
            }
            do { try await eventually(within: .seconds(5)) { done.isRaised } } catch {
                Issue.record("it waits for the silent sender")
            }
            until.open()
            try await other.value
            await expectRefusal(isCancel ? .taskClosed : .chunkTakenOver) { try await silent.value }
            guard !isCancel else { return }
            try await drive.send(1, of: upload)
            let file = try await drive.complete(upload)
            #expect(try await drive.bytes(of: file, owner: upload.owner) == upload.content.bytes)
            #expect(try await drive.findings() == [])
        }
    }
}
