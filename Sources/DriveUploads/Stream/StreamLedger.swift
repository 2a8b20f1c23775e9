/// Which bytes of an upload that comes as one stream are kept, and who sends the next ones. A pure value.
///
/// Bytes are kept in order, from the first one on: what is kept is a length, the offset. One writer appends at a time. A
/// request that comes while there is one ends it, because a client only comes again when it has given its old connection
/// up, and the server may learn of that last: what the old writer brought is kept, then the new one is told where it stands.
public struct StreamLedger: Hashable, Sendable {
    public typealias WriterID = UInt64

    public enum Phase: Hashable, Sendable {
        case open, completing, closed
    }

    /// What a sender is to do.
    public enum AppendAction: Hashable, Sendable {
        /// Send, beginning at the offset that was asked for.
        case granted(WriterID)
        /// End this writer, keep what it brought, and ask again.
        case end(WriterID)
        /// The kept bytes end elsewhere: nothing was changed, and no writer need be ended to know it.
        case mismatch(offset: Int64)
        /// The upload takes no bytes now.
        case closed
    }

    /// What somebody who asks for the offset is to do.
    public enum OffsetAction: Hashable, Sendable {
        case tell(Int64)
        /// End this writer, keep what it brought, and ask again: an offset that still grows is of no use.
        case end(WriterID)
    }

    /// What becomes of a length that a client declares.
    public enum LengthAction: Hashable, Sendable {
        /// It is the known one.
        case known
        /// It is the first one: to be remembered.
        case declared
        /// Another one was declared before.
        case differs(from: Int64)
        /// More bytes are kept already.
        case tooShort(offset: Int64)
    }

    /// What complete is to do.
    public enum CompleteAction: Hashable, Sendable {
        case proceed
        /// Bytes are missing, or nobody has said how many there are.
        case incomplete(offset: Int64, length: Int64?)
        case closed
    }

    public private(set) var phase = Phase.open
    /// How many bytes are kept.
    public private(set) var offset: Int64
    /// How many there will be; nil while nobody has said.
    public private(set) var length: Int64?
    private var writer: WriterID?
    /// How far the writer has come; bytes beyond `offset` may still be refused.
    private var reached: Int64
    private var lastWriter: WriterID = 0

    public init(offset: Int64, length: Int64?) {
        self.offset = offset
        self.length = length
        reached = offset
    }

    public var isWhole: Bool { offset == length }

    /// Asks for the right to append at an offset.
    public mutating func append(at start: Int64) -> AppendAction {
        guard phase == .open else { return .closed }
        if let writer {
            // Kept bytes only grow: this one can never fit, and ending the writer would help nobody.
            return start < offset ? .mismatch(offset: reached) : .end(writer)
        }
        guard start == offset else { return .mismatch(offset: offset) }
        lastWriter += 1
        writer = lastWriter
        reached = offset
        return .granted(lastWriter)
    }

    /// Asks where the kept bytes end. While the upload is being completed nothing more comes.
    public func currentOffset() -> OffsetAction {
        guard phase == .open, let writer else { return .tell(offset) }
        return .end(writer)
    }

    /// Notes how far a writer has come, in bytes of the whole upload.
    public mutating func reach(_ position: Int64, writer id: WriterID) {
        if writer == id { reached = max(reached, position) }
    }

    /// Ends a writer; the kept bytes end at `end` from now on. False where it was ended before.
    @discardableResult
    public mutating func finish(_ id: WriterID, keepingTo end: Int64) -> Bool {
        guard writer == id else { return false }
        writer = nil
        offset = max(offset, end)
        reached = offset
        return true
    }

    /// Declares how many bytes there will be.
    public mutating func declare(_ length: Int64) -> LengthAction {
        if let known = self.length { return known == length ? .known : .differs(from: known) }
        guard length >= max(offset, reached) else { return .tooShort(offset: max(offset, reached)) }
        self.length = length
        return .declared
    }

    /// Asks to complete; `proceed` stops further bytes until `endCompleting`.
    public mutating func beginCompleting() -> CompleteAction {
        guard phase == .open, writer == nil else { return .closed }
        guard isWhole else { return .incomplete(offset: offset, length: length) }
        phase = .completing
        return .proceed
    }

    /// Ends completing: closed where it succeeded, open again where it did not.
    public mutating func endCompleting(succeeded: Bool) {
        guard phase == .completing else { return }
        phase = succeeded ? .closed : .open
    }

    /// Takes nothing more.
    public mutating func close() {
        phase = .closed
    }
}
