import NIOCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Memory in which the bytes of a body are gathered until they are worth a write: it begins on a page, as writes around
/// the page cache need it.
///
/// `@unchecked Sendable`: a piece has one owner at a time. Who gathers fills it and hands it to a `ChunkWriter`, whose I/O
/// thread only reads it, and fills it again only after the writer gave it back.
public final class PieceBuffer: @unchecked Sendable {
    /// What offsets and lengths are multiples of where bytes go around the page cache.
    static let alignment = 4096

    private let memory: UnsafeMutableRawBufferPointer
    private let isMapped: Bool
    private var filled = 0..<0

    /// - Parameter capacity: bytes, a multiple of a page.
    init(capacity: Int) {
        // Pages of its own: given back whole, where the allocator would keep holes of all sizes.
        let pages = mmap(nil, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        isMapped = pages != nil && pages != MAP_FAILED
        memory =
            isMapped
            ? UnsafeMutableRawBufferPointer(start: pages, count: capacity)
            : .allocate(byteCount: capacity, alignment: Self.alignment)
    }

    deinit {
        if isMapped { munmap(memory.baseAddress, memory.count) } else { memory.deallocate() }
    }

    public var capacity: Int { memory.count }
    public var count: Int { filled.count }
    public var isFull: Bool { filled.upperBound == memory.count }

    /// Empties the piece, to gather bytes that belong at `offset` of a file: they lie in memory as in the file's pages, and
    /// a full piece ends with a page.
    public func begin(at offset: Int64) {
        let lead = Int(offset % Int64(Self.alignment))
        filled = lead..<lead
    }

    /// Takes as many bytes from the buffer's front as fit.
    public func append(from buffer: inout ByteBuffer) {
        let taken = buffer.readWithUnsafeReadableBytes { bytes in
            let count = min(bytes.count, memory.count - filled.upperBound)
            UnsafeMutableRawBufferPointer(rebasing: memory[filled.upperBound..<filled.upperBound + count])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
            return count
        }
        filled = filled.lowerBound..<filled.upperBound + taken
    }

    /// Takes what `read` puts into the memory behind the bytes that are there, at most `limit` bytes; returns how many.
    func fill(atMost limit: Int, _ read: (UnsafeMutableRawBufferPointer) throws -> Int) rethrows -> Int {
        let room = filled.upperBound..<min(memory.count, filled.upperBound + limit)
        let count = try read(UnsafeMutableRawBufferPointer(rebasing: memory[room]))
        filled = filled.lowerBound..<filled.upperBound + count
        return count
    }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[filled]) }
}

/// Shares the memory for gathering between the bodies that arrive at the moment.
///
/// Few bodies get large pieces and two of them, so that one is filled while the other is written; many get one small piece
/// each. Pieces are used again, the last one first, while it is in the processor's caches.
public final class PiecePool: Sendable {
    static let smallest = 64 << 10

    private struct State {
        var bodies = 0
        /// Bytes in pieces that are out.
        var used = 0
        var idle: [PieceBuffer] = []
    }

    private let total: Int
    private let largest: Int
    private let state = Mutex(State())

    /// - Parameters:
    ///   - total: bytes that all pieces together may have, while each body gets the smallest piece at least.
    ///   - largest: bytes of one piece.
    public init(total: Int, largest: Int) {
        self.total = total
        self.largest = Self.powerOfTwo(max(largest, Self.smallest))
    }

    /// One more body shares the memory, until `bodyEnds`.
    public func bodyBegins() {
        state.withLock { $0.bodies += 1 }
    }

    public func bodyEnds() {
        state.withLock { $0.bodies -= 1 }
    }

    /// Whether a piece has the size that a body gets now.
    public func fits(_ piece: PieceBuffer) -> Bool {
        state.withLock { piece.capacity == size(for: $0.bodies) && $0.used <= total }
    }

    /// A body's first piece, or the one that takes the place of one it gave back.
    public func take() -> PieceBuffer {
        state.withLock { take(&$0) }
    }

    /// One more piece for a body that has one; nil where the others need the memory.
    public func takeAnother() -> PieceBuffer? {
        state.withLock { state in
            let size = size(for: state.bodies)
            guard 2 * size * state.bodies <= total, state.used + size <= total else { return nil }
            return take(&state)
        }
    }

    public func giveBack(_ piece: PieceBuffer) {
        state.withLock { state in
            state.used -= piece.capacity
            if piece.capacity == size(for: state.bodies) { state.idle.append(piece) }
        }
    }

    /// Bytes in pieces, in use and idle.
    var bytes: Int { state.withLock { state in state.idle.reduce(state.used) { $0 + $1.capacity } } }

    private func take(_ state: inout State) -> PieceBuffer {
        let fitting = size(for: state.bodies)
        // Who came earlier may still hold larger pieces.
        let size = state.used + fitting <= total ? fitting : Self.smallest
        state.used += size
        if let last = state.idle.last, last.capacity == size { return state.idle.removeLast() }
        // Those that lie there have the size of another load.
        state.idle = []
        return PieceBuffer(capacity: size)
    }

    private func size(for bodies: Int) -> Int {
        max(Self.smallest, min(largest, Self.powerOfTwo(total / max(1, bodies))))
    }

    private static func powerOfTwo(_ value: Int) -> Int {
        value < 1 ? 1 : 1 << (Int.bitWidth - 1 - value.leadingZeroBitCount)
    }
}
