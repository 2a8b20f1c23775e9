import DriveCrypto

/// Hashes a range of a file, to catch up with bytes that arrived out of order, or to check stored bytes.
public enum RangeHasher {
    /// Continues `hash` over the bytes of `range`; `progress` is told the position now and then and stops it by false.
    /// Returns the continued hash, or nil where it was stopped.
    ///
    /// One piece is read while the one before is hashed, unless too many ranges are read at the moment.
    public static func hash(
        _ file: OpenFile, range: Range<Int64>, continuing hash: FileDigest, io: IOPool,
        progress: @escaping @Sendable (Int64, FileDigest) -> Bool
    ) async throws -> FileDigest? {
        io.readPieces.bodyBegins()
        let pieces = [io.readPieces.take(), io.readPieces.takeAnother()].compactMap { $0 }
        defer {
            for piece in pieces { io.readPieces.giveBack(piece) }
            io.readPieces.bodyEnds()
        }
        var hash = hash
        var position = range.lowerBound
        var turn = 0
        var next = startReading(file, range: range, into: pieces[turn], io: io)
        while position < range.upperBound {
            let current = pieces[turn]
            try await next.outcome()
            position += Int64(current.count)
            turn = (turn + 1) % pieces.count
            let isAhead = pieces.count > 1
            let rest = position..<range.upperBound
            if isAhead { next = startReading(file, range: rest, into: pieces[turn], io: io) }
            let hashed = await io.start { [hash] in
                var hash = hash
                hash.update(current.bytes)
                return hash
            }.result()
            guard case .success(let continued) = hashed, progress(position, continued) else {
                // Nobody fills a piece any more when this returns.
                if isAhead { _ = await next.result() }
                _ = try hashed.get()
                return nil
            }
            hash = continued
            if !isAhead { next = startReading(file, range: rest, into: pieces[turn], io: io) }
        }
        _ = await next.result()
        return hash
    }

    /// Reads the range's first piece; an empty one at its end.
    private static func startReading(_ file: OpenFile, range: Range<Int64>, into buffer: PieceBuffer, io: IOPool) -> PendingWork<Void> {
        io.start {
            // Up to the end of a page, as reads around the page cache need it.
            buffer.begin(at: range.lowerBound)
            let count = try buffer.fill(atMost: Int(min(Int64(buffer.capacity), Int64(range.count)))) {
                try file.read(into: $0, at: range.lowerBound)
            }
            guard count > 0 || range.isEmpty else { throw StorageError("pread", 5) }
        }
    }

    /// The CRC-32C of a range of a file.
    public static func crc32c(_ file: OpenFile, range: Range<Int64>, io: IOPool) async throws -> UInt32 {
        try await digest(file, range: range, with: .crc32c, io: io).value().reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// A digest of a range of a file alone.
    public static func digest(
        _ file: OpenFile, range: Range<Int64>, with algorithm: DigestAlgorithm, io: IOPool
    ) async throws -> RunningDigest {
        io.readPieces.bodyBegins()
        let piece = io.readPieces.take()
        defer {
            io.readPieces.giveBack(piece)
            io.readPieces.bodyEnds()
        }
        var digest = RunningDigest(algorithm)
        var position = range.lowerBound
        while position < range.upperBound {
            try await startReading(file, range: position..<range.upperBound, into: piece, io: io).outcome()
            digest = try await io.run { [digest] in
                var digest = digest
                digest.update(piece.bytes)
                return digest
            }
            position += Int64(piece.count)
        }
        return digest
    }
}
