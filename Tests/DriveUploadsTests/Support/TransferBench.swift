import DriveModel
import Foundation
import Synchronization

@testable import DriveStorage
@testable import DriveUploads

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A file that bodies are carried to, and what is seen of the way.
struct TransferBench: Sendable {
    let path: String
    let file: OpenFile
    let io: IOPool
    let pieces: PiecePool
    let seen = SeenWrites()

    /// How much memory a body may have.
    enum Memory: CaseIterable, Sendable {
        /// A piece is filled while the other is written.
        case twoPieces
        /// Others need the rest.
        case onePiece
    }

    static func with(
        _ memory: Memory = .twoPieces, faults: String = "", bypassingCache: Bool = false, io: IOPool? = nil,
        _ body: (TransferBench) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "drive-transfer-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appending(path: "file").path()
        let file = try OpenFile(
            path: path, flags: O_RDWR | O_CREAT, faults: try Faults(specification: faults), bypassingCache: bypassingCache)
        // The smallest pieces, so that few bytes are many of them; around the cache go larger ones alone.
        let largest = bypassingCache ? 512 << 10 : PiecePool.smallest
        let pieces = PiecePool(total: 2 * largest, largest: largest)
        let own = io ?? IOPool(threads: 4)
        if memory == .onePiece { pieces.bodyBegins() }
        let result: Result<Void, any Error>
        do {
            try await body(TransferBench(path: path, file: file, io: own, pieces: pieces))
            result = .success(())
        } catch {
            result = .failure(error)
        }
        if memory == .onePiece { pieces.bodyEnds() }
        if io == nil { await own.close() }
        try result.get()
    }

    /// Carries a body; the hooks are watched, and `willWrite` is told its number, from 1.
    func carry<Body: ChunkBody>(
        _ body: Body, from start: Int64 = 0, limit: Int64 = .max, willWrite: @escaping (Int) throws -> Void = { _ in }
    ) async throws -> ChunkWriter {
        let writer = ChunkWriter(file: file, io: io, start: start, digests: ChunkDigests(wholeFile: nil))
        var transfer = BodyTransfer(
            body: body, writer: writer, pieces: pieces,
            hooks: .init(
                heard: { seen.heard() },
                willWrite: {
                    try willWrite(seen.asked())
                    seen.begun()
                },
                didWrite: { seen.ended() }))
        try await transfer.run(limit: limit) { Excess(seen: $0) }
        return transfer.writer
    }

    struct Excess: Error, Equatable {
        let seen: Int64
    }

    /// Bytes in pieces that did not come back.
    var takenBytes: Int {
        var probes: [PieceBuffer] = []
        // A piece that is new says that none lies idle any more.
        while true {
            let before = pieces.bytes
            probes.append(pieces.take())
            if pieces.bytes != before { break }
        }
        defer { for probe in probes { pieces.giveBack(probe) } }
        return probes.reduce(pieces.bytes) { $0 - $1.capacity }
    }

    var content: [UInt8] { FileManager.default.contents(atPath: path).map { [UInt8]($0) } ?? [] }
}

/// Counts what a transfer tells of its writes.
final class SeenWrites: Sendable {
    private struct State {
        var heard = 0
        var asked = 0
        var begun = 0
        var ended = 0
        /// An end before its begin, or two writes at once.
        var isTorn = false
    }

    private let state = Mutex(State())

    func heard() { state.withLock { $0.heard += 1 } }

    func asked() -> Int {
        state.withLock { state in
            state.asked += 1
            return state.asked
        }
    }

    func begun() {
        state.withLock { state in
            state.begun += 1
            if state.begun != state.ended + 1 { state.isTorn = true }
        }
    }

    func ended() {
        state.withLock { state in
            state.ended += 1
            if state.begun != state.ended { state.isTorn = true }
        }
    }

    var buffers: Int { state.withLock { $0.heard } }
    var writes: Int { state.withLock { $0.begun } }
    /// Whether each write that was begun was ended, once, before the next.
    var areBalanced: Bool { state.withLock { !$0.isTorn && $0.begun == $0.ended } }
}
