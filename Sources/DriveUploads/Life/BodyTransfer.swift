import DriveCrypto
import DriveStorage
import NIOCore

/// Carries a body to its file: while one piece is written and hashed, the next is gathered from the network.
struct BodyTransfer<Body: ChunkBody> {
    /// Who may say no to a write, and who waits for its end. The claim of a chunk; nothing where nobody else writes.
    struct Hooks {
        /// Called with every buffer, so that a slow sender is not taken for a silent one.
        var heard: () -> Void = {}
        var willWrite: () throws -> Void = {}
        /// Called once for each `willWrite` that did not throw, as soon as the write has ended.
        var didWrite: @Sendable () -> Void = {}
        /// Called while the bytes up to the given end are about to be written, with the digests of all that are written
        /// already. An error ends the body.
        var advance: ((_ end: Int64, _ written: ChunkDigests) async throws -> Void)?
        /// Whether what came of a body counts that then broke off, or was longer than the limit.
        var keepsWhatCame = false
    }

    private(set) var body: Body
    private(set) var writer: ChunkWriter
    private let pieces: PiecePool
    private let hooks: Hooks
    /// Received of the body's last buffer and not yet in a piece.
    private var rest = ByteBuffer()
    private var underWay: PieceBuffer?
    private var isEnded = false
    /// Whether the piece being filled holds bytes of this body.
    private var hasGathered = false
    /// A write failed: what follows it must not be written.
    private var isBroken = false
    /// How many bytes were seen of a body that is longer than the limit; the ones within it go first.
    private var overrun: Int64?

    init(body: Body, writer: ChunkWriter, pieces: PiecePool, hooks: Hooks = Hooks()) {
        self.body = body
        self.writer = writer
        self.pieces = pieces
        self.hooks = hooks
    }

    /// Runs to the body's end. Whatever happens, no write is under way when it returns, and `writer.digests` tell what
    /// was written.
    ///
    /// - Parameters:
    ///   - limit: bytes; `excess` makes the error for a body with more, told how many were seen.
    mutating func run(limit: Int64, excess: (Int64) -> any Error) async throws {
        // Not in a closure of the pool: a copy of the body for it would be a second owner of its buffers.
        pieces.bodyBegins()
        defer { pieces.bodyEnds() }
        var current: PieceBuffer? = pieces.take()
        var spare: PieceBuffer?
        do {
            while let piece = current {
                guard try await gather(into: piece, limit: limit, excess: excess) else {
                    pieces.giveBack(piece)
                    current = nil
                    break
                }
                hasGathered = false
                spare = try await settle()
                try await hooks.advance?(writer.position + Int64(piece.count), writer.digests)
                try hooks.willWrite()
                writer.begin(piece, onEnd: hooks.didWrite)
                underWay = piece
                current = nil
                if isEnded { break }
                if let piece = spare, !pieces.fits(piece) {
                    pieces.giveBack(piece)
                    spare = nil
                }
                if spare == nil { spare = pieces.takeAnother() }
                if spare == nil, let written = try await settle() {
                    pieces.giveBack(written)
                    spare = pieces.take()
                }
                current = spare
                spare = nil
            }
            if let piece = spare { pieces.giveBack(piece) }
            spare = nil
            if let piece = try await settle() { pieces.giveBack(piece) }
        } catch {
            if let piece = spare { pieces.giveBack(piece) }
            // A disk that failed is a better reason than the body that broke off beside it.
            do {
                if let piece = try await settle() { pieces.giveBack(piece) }
            } catch {
                if let piece = current { pieces.giveBack(piece) }
                throw error
            }
            if let piece = current {
                if hooks.keepsWhatCame, hasGathered, !isBroken, piece.count > 0, await hasRoom(for: piece) {
                    writer.begin(piece)
                    underWay = piece
                    _ = try await settle()
                }
                pieces.giveBack(piece)
            }
            throw error
        }
        writer.finish()
    }

    /// Whether the last bytes of a body that broke off may stay: where there is no room for them they do not count.
    private func hasRoom(for piece: PieceBuffer) async -> Bool {
        guard let advance = hooks.advance else { return true }
        do {
            try await advance(writer.position + Int64(piece.count), writer.digests)
            return true
        } catch {
            return false
        }
    }

    /// Fills a piece, less at the body's end; false where nothing was left.
    private mutating func gather(into piece: PieceBuffer, limit: Int64, excess: (Int64) -> any Error) async throws -> Bool {
        piece.begin(at: writer.position)
        hasGathered = true
        while !piece.isFull {
            if rest.readableBytes == 0 {
                if let overrun { throw excess(overrun) }
                guard !isEnded, let buffer = try await body.next() else {
                    isEnded = true
                    break
                }
                if buffer.readableBytes == 0 {
                    // Nothing has come for a while: what is here is worth writing.
                    if piece.count > 0 { break }
                    continue
                }
                hooks.heard()
                rest = buffer
            }
            let received = writer.written + Int64(piece.count + rest.readableBytes)
            if received > limit {
                overrun = received
                rest = rest.readSlice(length: rest.readableBytes - Int(received - limit)) ?? ByteBuffer()
            }
            piece.append(from: &rest)
        }
        return piece.count > 0
    }

    /// Waits for the piece under way. Where it could not be written it goes back to the pool.
    private mutating func settle() async throws -> PieceBuffer? {
        guard let piece = underWay else { return nil }
        underWay = nil
        do {
            _ = try await writer.settle()
            return piece
        } catch {
            isBroken = true
            pieces.giveBack(piece)
            throw error
        }
    }
}
