import NIOCore

/// A streaming parser of multipart/form-data (RFC 7578, RFC 2046 §5.1) that never copies a body.
///
/// Feed a buffer, take events until `next()` gives nil, feed the next one; at the end of the body call `finish()`.
/// Memory is bounded: one header block, and the buffers that were fed and not yet taken.
///
/// A delimiter is CRLF, two hyphens, the boundary. As CR stands only at its start, a partial match that fails cannot hide
/// another one: the bytes held back between buffers are always a prefix of the delimiter, so their *count* is all that is kept.
struct MultipartParser: Sendable {
    private enum State: Sendable {
        case preamble
        case delimiterEnd(DelimiterEnd)
        case headers, body, finished
    }
    private enum DelimiterEnd: Sendable { case boundary, hyphen, padding, carriageReturn }

    /// Spaces and tabs allowed after a boundary.
    private static let paddingLimit = 128

    private let finder: DelimiterSearch
    private let limits: MultipartLimits
    private var state = State.preamble
    private var failure: MultipartError?
    private var input = ByteBuffer()
    private var waiting = CircularBuffer<ByteBuffer>(initialCapacity: 2)
    /// Bytes of the delimiter seen at the end of the input so far.
    private var matched = 2
    /// How many of `matched` were not part of this body: the CRLF before a delimiter that stands first (RFC 2046 §5.1.1).
    private var assumed = 2
    private var headerBlock: [UInt8] = []
    private var preambleBytes = 0
    private var paddingBytes = 0
    private var parts = 0

    /// - Parameter boundary: the Content-Type's parameter, unquoted; see `boundary(contentType:)`.
    /// - Throws: `missingBoundary`, `boundaryTooLong`, `invalidBoundary`.
    init(boundary: String, limits: MultipartLimits = MultipartLimits()) throws(MultipartError) {
        guard !boundary.isEmpty else { throw .missingBoundary }
        guard boundary.utf8.count <= 70 else { throw .boundaryTooLong(boundary.utf8.count) }
        guard boundary.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }), boundary.utf8.last != 0x20 else { throw .invalidBoundary }
        finder = DelimiterSearch(Array("\r\n--\(boundary)".utf8))
        self.limits = limits
    }

    /// The boundary a Content-Type value announces.
    /// - Throws: `notFormData` for another media type or a malformed value, `missingBoundary`.
    static func boundary(contentType: String) throws(MultipartError) -> String {
        guard let parsed = HeaderParameters(contentType.utf8), parsed.value == "multipart/form-data" else { throw .notFormData }
        guard let boundary = parsed["boundary"], !boundary.isEmpty else { throw .missingBoundary }
        return boundary
    }

    /// Hands over the next bytes of the body. They are kept until `next()` has gone past them.
    /// - Throws: the error that ended parsing, if one did.
    mutating func feed(_ buffer: ByteBuffer) throws(MultipartError) {
        if let failure { throw failure }
        if case .finished = state { return }
        guard buffer.readableBytes > 0 else { return }
        if input.readableBytes == 0 { input = buffer } else { waiting.append(buffer) }
    }

    /// The next event, or nil when more bytes are needed or the body is finished.
    mutating func next() throws(MultipartError) -> MultipartEvent? {
        if let failure { throw failure }
        do throws(MultipartError) {
            while takeInput() {
                if let event = try step() { return event }
            }
            return nil
        } catch {
            failure = error
            dropInput()
            throw error
        }
    }

    /// Says that no more bytes come. Call it once `next()` gave nil.
    /// - Throws: `truncated` or `delimiterNotFound` where the closing delimiter was not read, or the earlier error.
    mutating func finish() throws(MultipartError) {
        if let failure { throw failure }
        switch state {
        case .finished: return
        case .preamble: failure = .delimiterNotFound
        default: failure = .truncated
        }
        dropInput()
        if let failure { throw failure }
    }

    private var delimiterLength: Int { finder.delimiter.count }

    // MARK: Steps

    /// Makes `input` non-empty if there is any; lets go of a buffer that was read to its end.
    private mutating func takeInput() -> Bool {
        if input.readableBytes > 0 { return true }
        if let buffer = waiting.popFirst() {
            input = buffer
            return true
        }
        input = ByteBuffer()
        return false
    }

    private mutating func dropInput() {
        input = ByteBuffer()
        waiting.removeAll()
    }

    private mutating func step() throws(MultipartError) -> MultipartEvent? {
        switch state {
        case .preamble:
            if let skipped = scan() {
                preambleBytes += skipped.readableBytes
                guard preambleBytes <= limits.preambleBytes else { throw .preambleTooLong(limit: limits.preambleBytes) }
            } else if takeDelimiter() {
                state = .delimiterEnd(.boundary)
            }
            return nil
        case .body:
            if let data = scan() { return .data(data) }
            guard takeDelimiter() else { return nil }
            state = .delimiterEnd(.boundary)
            return .partEnded
        case .delimiterEnd(let position): return try readDelimiterEnd(position)
        case .headers: return try readHeaders()
        case .finished:
            dropInput()
            return nil
        }
    }

    /// Takes bytes that are certainly no delimiter, as one slice; nil where there are none before the delimiter or the input's end.
    private mutating func scan() -> ByteBuffer? {
        if matched > 0 {
            let seen = matched
            if advanceMatch() { return nil }
            // What was held back is data after all: it equals the delimiter's own first bytes.
            defer { (matched, assumed) = (0, 0) }
            if seen > assumed { return ByteBuffer(bytes: finder.delimiter[assumed..<seen]) }
        }
        let (length, held) = search()
        let data = length > 0 ? input.readSlice(length: length) : nil
        matched = held
        input.moveReaderIndex(forwardBy: held)
        return data
    }

    /// Compares the input with the rest of a delimiter begun earlier, and takes what agrees if all of it does.
    private mutating func advanceMatch() -> Bool {
        let rest = finder.delimiter[matched...].prefix(input.readableBytes)
        guard input.readableBytesView.prefix(rest.count).elementsEqual(rest) else { return false }
        matched += rest.count
        input.moveReaderIndex(forwardBy: rest.count)
        return true
    }

    /// Whether the whole delimiter was matched; if so the match is spent.
    private mutating func takeDelimiter() -> Bool {
        guard matched == delimiterLength else { return false }
        (matched, assumed) = (0, 0)
        return true
    }

    /// How many bytes of the input stand before a delimiter, and how many of the delimiter's bytes follow there.
    private func search() -> (length: Int, held: Int) {
        input.withUnsafeReadableBytes { bytes in
            if let found = finder.firstMatch(in: bytes) { return (found, delimiterLength) }
            // Only the last CR can begin a delimiter that the input's end cuts off.
            let tail = max(0, bytes.count - delimiterLength + 1)
            guard let cut = bytes[tail...].lastIndex(of: HTTPSyntax.carriageReturn),
                bytes[cut...].elementsEqual(finder.delimiter.prefix(bytes.count - cut))
            else { return (bytes.count, 0) }
            return (cut, bytes.count - cut)
        }
    }

    /// Reads what follows a boundary: `--`, or padding and CRLF.
    private mutating func readDelimiterEnd(_ position: DelimiterEnd) throws(MultipartError) -> MultipartEvent? {
        guard let byte: UInt8 = input.readInteger() else { return nil }
        switch (position, byte) {
        case (.boundary, UInt8(ascii: "-")): state = .delimiterEnd(.hyphen)
        case (.hyphen, UInt8(ascii: "-")):
            state = .finished
            dropInput()
            return .finished
        case (.boundary, 0x20), (.boundary, 0x09), (.padding, 0x20), (.padding, 0x09):
            paddingBytes += 1
            guard paddingBytes <= Self.paddingLimit else { throw .malformedDelimiter }
            state = .delimiterEnd(.padding)
        case (.boundary, HTTPSyntax.carriageReturn), (.padding, HTTPSyntax.carriageReturn): state = .delimiterEnd(.carriageReturn)
        case (.carriageReturn, HTTPSyntax.lineFeed):
            parts += 1
            guard parts <= limits.parts else { throw .tooManyParts(limit: limits.parts) }
            paddingBytes = 0
            headerBlock.removeAll(keepingCapacity: true)
            state = .headers
        default: throw .malformedDelimiter
        }
        return nil
    }

    /// Collects header lines up to the empty one.
    private mutating func readHeaders() throws(MultipartError) -> MultipartEvent? {
        let view = input.readableBytesView
        let lineFeed = view.firstIndex(of: HTTPSyntax.lineFeed)
        let length = (lineFeed.map { $0 + 1 } ?? view.endIndex) - view.startIndex
        guard headerBlock.count + length <= limits.headerBytes else { throw .headersTooLong(limit: limits.headerBytes) }
        headerBlock.append(contentsOf: view.prefix(length))
        input.moveReaderIndex(forwardBy: length)
        guard lineFeed != nil, headerBlock == [0x0D, 0x0A] || headerBlock.suffix(4) == [0x0D, 0x0A, 0x0D, 0x0A] else { return nil }
        let headers = try PartHeaders(parsing: headerBlock)
        // The empty line's CRLF may be the delimiter's own where the part has no body at all.
        (matched, assumed) = (2, 2)
        state = .body
        return .partBegan(headers)
    }
}
