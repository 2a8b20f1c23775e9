import TestSupport

/// How a client sends one body.
struct CrashBody: Sendable {
    /// Of the whole upload.
    let range: Range<Int>
    let isChecksummed: Bool
    /// In how many pieces, with a pause between them: so a death finds bodies half-way.
    let pieces: Int
    /// Where the client breaks the connection off; nil: it does not. Only once the server reads the body: one that it finds
    /// later would go on adding to the upload.
    let breakOff: Int?

    /// - Parameter most: bytes of the body, at most.
    init(from offset: Int, of total: Int, most: Int, using generator: inout SeededGenerator) {
        let rest = total - offset
        let count = min(rest, Int.random(in: 1...max(1, most), using: &generator))
        range = offset..<offset + count
        isChecksummed = Int.random(in: 0..<3, using: &generator) == 0
        pieces = Bool.random(using: &generator) ? 1 : Int.random(in: 2...6, using: &generator)
        let breaks = Int.random(in: 0..<6, using: &generator) == 0
        breakOff = breaks && count > 1 ? offset + Int.random(in: 1..<count, using: &generator) : nil
    }

    /// All the rest, in many pieces.
    init(from offset: Int, of total: Int, pieces: Int) {
        range = offset..<total
        isChecksummed = false
        self.pieces = pieces
        breakOff = nil
    }

    /// Gives the bytes to a connection, piece by piece, and notes each before it is given.
    func give(
        of stream: CrashStream, ledger: CrashLedger, pause: Duration = .milliseconds(3), to send: ([UInt8]) async throws -> Void
    ) async throws {
        let end = breakOff ?? range.upperBound
        let step = max(1, (end - range.lowerBound + pieces - 1) / pieces)
        for start in stride(from: range.lowerBound, to: end, by: step) {
            let piece = start..<min(start + step, end)
            if start > range.lowerBound { try await Task.sleep(for: pause) }
            ledger.note(stream: stream.name) { $0.sent = piece.upperBound }
            try await send(Array(stream.bytes[piece]))
        }
    }
}
