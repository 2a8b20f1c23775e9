/// An event of an event stream (WHATWG HTML, section 9.2).
struct ServerSentEvent: Hashable, Sendable {
    /// The field `event`; `message` where there is none.
    var type = "message"
    /// The fields `data`, one line each.
    var data: String
    /// The field `id` of this very event; nil where it has none. The number that still holds from an earlier one is the
    /// parser's `lastEventId`.
    var id: String?
}

/// Reads an event stream from bytes that come split anywhere (WHATWG HTML, section 9.2.6). A pure value.
///
/// What the stream ends in the middle of is no event: where it ends, the parser is simply forgotten.
struct ServerSentEventParser: Sendable {
    /// A line or an event is larger than agreed; nothing more of the stream is understood.
    struct TooLarge: Error, Hashable {}

    /// Bytes of a line, without its end.
    let maximumLine: Int
    /// Bytes of an event's data.
    let maximumData: Int

    /// The id of the last event that had one; it holds for the events after it. Empty before the first.
    private(set) var lastEventId = ""
    /// The stream's wish for the wait before a reconnection.
    private(set) var reconnectionTime: Duration?
    /// Comments that came: a server's signs of life between events.
    private(set) var comments = 0

    /// The beginning of a line whose end has not come.
    private var line: [UInt8] = []
    /// The last byte was CR: a LF right behind it belongs to the same end of line.
    private var endedWithCR = false
    private var isFirstLine = true
    private var type: [UInt8] = []
    private var data: [UInt8] = []
    private var hasData = false
    private var id: String?

    init(maximumLine: Int = 32 << 20, maximumData: Int = 32 << 20) {
        self.maximumLine = maximumLine
        self.maximumData = maximumData
    }

    /// The events that these bytes complete, in order.
    ///
    /// - Throws: `TooLarge`; events of the same bytes are lost with it, and the parser is not to be used again.
    mutating func read(_ bytes: [UInt8]) throws(TooLarge) -> [ServerSentEvent] {
        var events: [ServerSentEvent] = []
        var rest = bytes[...]
        while let first = rest.first {
            if endedWithCR, first == Self.lf { rest.removeFirst() }
            endedWithCR = false
            guard let end = rest.firstIndex(where: { $0 == Self.lf || $0 == Self.cr }) else {
                try extendLine(rest)
                break
            }
            try extendLine(rest[..<end])
            endedWithCR = rest[end] == Self.cr
            rest = rest[(end + 1)...]
            if let event = try endLine() { events.append(event) }
        }
        return events
    }

    private mutating func extendLine(_ part: ArraySlice<UInt8>) throws(TooLarge) {
        guard part.count <= maximumLine - line.count else { throw TooLarge() }
        line += part
    }

    private mutating func endLine() throws(TooLarge) -> ServerSentEvent? {
        var whole = line[...]
        line.removeAll(keepingCapacity: line.count <= 64 << 10)
        if isFirstLine {
            isFirstLine = false
            // A byte order mark.
            if whole.starts(with: [0xEF, 0xBB, 0xBF]) { whole = whole.dropFirst(3) }
        }
        guard let first = whole.first else { return dispatch() }
        guard first != Self.colon else {
            comments &+= 1
            return nil
        }
        let name = whole.prefix { $0 != Self.colon }
        var value = whole[name.endIndex...].dropFirst()
        if value.first == Self.space { value = value.dropFirst() }
        try take(value, of: name)
        return nil
    }

    private mutating func take(_ value: ArraySlice<UInt8>, of name: ArraySlice<UInt8>) throws(TooLarge) {
        if name.elementsEqual("data".utf8) {
            guard value.count + (hasData ? 1 : 0) <= maximumData - data.count else { throw TooLarge() }
            if hasData { data.append(Self.lf) }
            hasData = true
            data += value
        } else if name.elementsEqual("event".utf8) {
            type = Array(value)
        } else if name.elementsEqual("id".utf8) {
            if !value.contains(0) { id = String(decoding: value, as: UTF8.self) }
        } else if name.elementsEqual("retry".utf8) {
            guard !value.isEmpty, value.allSatisfy({ (0x30...0x39).contains($0) }),
                let milliseconds = Int64(String(decoding: value, as: UTF8.self))
            else { return }
            reconnectionTime = .milliseconds(milliseconds)
        }
    }

    /// An empty line ends an event; without data it is none, but its id holds all the same.
    private mutating func dispatch() -> ServerSentEvent? {
        defer {
            type = []
            data = []
            hasData = false
            id = nil
        }
        if let id { lastEventId = id }
        guard hasData else { return nil }
        return ServerSentEvent(
            type: type.isEmpty ? "message" : String(decoding: type, as: UTF8.self), data: String(decoding: data, as: UTF8.self), id: id)
    }

    private static let lf = UInt8(ascii: "\n")
    private static let cr = UInt8(ascii: "\r")
    private static let colon = UInt8(ascii: ":")
    private static let space = UInt8(ascii: " ")
}
