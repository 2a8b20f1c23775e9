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
    }

    private(set) var body: Body
    private(set) var writer: ChunkWriter
    private let pieces: PiecePool
    private let hooks: Hooks
    /// Received of the body's last buffer and not yet in a piece.
    private var rest = ByteBuffer()
    private var underWay: PieceBuffer?
    private var isEnded = false

    init(body: Body, writer: ChunkWriter, pieces: PiecePool, hooks: Hooks = Hooks()) {
        self.body = body
        self.writer = writer
        self.pieces = pieces
        self.hooks = hooks
    }

    /// Runs to the body's end. Whatever happens, no write is under way when it returns.
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
                spare = try await settle()
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
            for piece in [current, spare].compactMap({ $0 }) { pieces.giveBack(piece) }
            // A disk that failed is a better reason than the body that broke off beside it.
            if let piece = try await settle() { pieces.giveBack(piece) }
            throw error
        }
        writer.finish()
    }

    /// Fills a piece, less at the body's end; false where nothing was left.
    private mutating func gather(into piece: PieceBuffer, limit: Int64, excess: (Int64) -> any Error) async throws -> Bool {
        piece.begin(at: writer.position)
        while !piece.isFull {
            if rest.readableBytes == 0 {
                guard !isEnded, let buffer = try await body.next() else {
                    isEnded = true
                    break
                }
                if buffer.readableBytes == 0 { continue }
                hooks.heard()
                rest = buffer
            }
            let received = writer.written + Int64(piece.count + rest.readableBytes)
            guard received <= limit else { throw excess(received) }
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
            pieces.giveBack(piece)
            throw error
        }
    }
}
