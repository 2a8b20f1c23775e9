import Testing

@testable import DriveClient

/// WHATWG HTML, section 9.2.6.
@Suite struct ServerSentEventParserTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var text: String
        var events: [ServerSentEvent]
        var testDescription: String { text.debugDescription }

        init(_ text: String, _ events: [ServerSentEvent]) {
            (self.text, self.events) = (text, events)
        }
    }

    static let cases = [
        Case("data: a\n\n", [.init(data: "a")]),
        Case("data:a\n\n", [.init(data: "a")]),
        // One space alone goes.
        Case("data:  a \n\n", [.init(data: " a ")]),
        Case("data: a\r\n\r\n", [.init(data: "a")]),
        Case("data: a\r\r", [.init(data: "a")]),
        Case("data: a\r\ndata: b\rdata: c\n\r\n", [.init(data: "a\nb\nc")]),
        Case("data: a\n\r\ndata: b\r\n\n", [.init(data: "a"), .init(data: "b")]),
        Case("data\n\ndata\ndata\n\ndata:", [.init(data: ""), .init(data: "\n")]),
        Case("\u{FEFF}data: a\n\n\u{FEFF}data: b\n\n", [.init(data: "a")]),
        Case(": keep-alive\n\n: data: no\n\n", []),
        Case(
            ": keep-alive\n\nid: 1\nevent: task.progress\ndata: {\"a\":1}\n\n", [.init(type: "task.progress", data: "{\"a\":1}", id: "1")]),
        // A type, an id and unknown fields alone are no event, and the type does not last.
        Case("event: a\nid: 7\nfoo: bar\nnocolon\n\ndata: b\n\n", [.init(data: "b")]),
        Case("event: a\nevent: b\ndata: 1\n\n", [.init(type: "b", data: "1")]),
        Case("event\ndata: 1\n\n", [.init(data: "1")]),
        Case("id: 1\nid\ndata: 1\n\n", [.init(data: "1", id: "")]),
        Case("id: 1\nid: 2\u{0}\ndata: 1\n\n", [.init(data: "1", id: "1")]),
        // Names are exact.
        Case("Data: 1\n data: 2\ndata : 3\n\n", []),
        Case("data: é漢😀\n\n", [.init(data: "é漢😀")]),
        // What the stream ends in the middle of is no event.
        Case("data: a\n\ndata: b\n", [.init(data: "a")]),
        Case("data: a", []),
        Case("", []),
    ]

    @Test(arguments: cases) func textsAreReadAsTheStandardSays(_ example: Case) throws {
        var parser = ServerSentEventParser()
        #expect(try parser.read(Array(example.text.utf8)) == example.events)
        // And byte by byte.
        var slow = ServerSentEventParser()
        #expect(try example.text.utf8.flatMap { try slow.read([$0]) } == example.events)
    }

    @Test func idAndRetryLastAndCommentsAreCounted() throws {
        var parser = ServerSentEventParser()
        #expect(parser.lastEventId == "" && parser.reconnectionTime == nil)
        _ = try parser.read(Array(": a\n:\ndata: : b\n\n".utf8))
        #expect(parser.comments == 2)
        _ = try parser.read(Array("retry: 1500\nid: 4\ndata: a\n\ndata: b\n\nid: 5\n".utf8))
        #expect(parser.lastEventId == "4" && parser.reconnectionTime == .milliseconds(1500))
        _ = try parser.read(Array("\nretry: 15x\nretry\nretry: -1\nretry: 99999999999999999999\n\n".utf8))
        #expect(parser.lastEventId == "5" && parser.reconnectionTime == .milliseconds(1500))
    }

    @Test func bytesThatAreNoUTF8AreReplaced() throws {
        var parser = ServerSentEventParser()
        let events = try parser.read(Array("data: a".utf8) + [0xC3, 0x28] + Array("\n\n".utf8))
        #expect(events == [.init(data: "a\u{FFFD}(")])
    }

    /// Random events, written in every way the standard allows and cut anywhere, come back as they were.
    @Test(arguments: 0..<200) func whatIsWrittenComesBack(seed: UInt64) throws {
        var random = Lehmer(state: seed &* 7919 &+ 1)
        let texts = ["", "x", " two  spaces", ":colon", "a\nb", "\n", "é漢😀", String(repeating: "long ", count: 40)]
        var wanted: [ServerSentEvent] = []
        var bytes: [UInt8] = Bool.random(using: &random) ? [0xEF, 0xBB, 0xBF] : []
        let ends = ["\n", "\r", "\r\n"]
        func line(_ text: String, _ random: inout Lehmer) { bytes += (text + (ends.randomElement(using: &random) ?? "\n")).utf8 }
        for _ in 0..<Int.random(in: 1...8, using: &random) {
            var event = ServerSentEvent(data: texts.randomElement(using: &random) ?? "")
            if Bool.random(using: &random) { line(": comment", &random) }
            if Bool.random(using: &random) {
                event.type = "task.\(Int.random(in: 0...9, using: &random))"
                line("event:\(Bool.random(using: &random) ? " " : "")\(event.type)", &random)
            }
            for part in event.data.split(separator: "\n", omittingEmptySubsequences: false) { line("data: \(part)", &random) }
            if Bool.random(using: &random) {
                event.id = String(Int.random(in: 0...999, using: &random))
                line("id: \(event.id ?? "")", &random)
            }
            // A lone CR before a line that begins with LF would be one end of line: an empty line ends with what is no LF.
            bytes += (bytes.last == 0x0D ? "\r" : "\n").utf8
            wanted.append(event)
        }
        var parser = ServerSentEventParser()
        var found: [ServerSentEvent] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Int.random(in: 0...30, using: &random))
            found += try parser.read(Array(piece))
            rest = rest.dropFirst(piece.count)
        }
        #expect(found == wanted)
    }

    @Test func linesAndDataAreBounded() throws {
        var parser = ServerSentEventParser(maximumLine: 10, maximumData: 8)
        #expect(try parser.read(Array("data: 1234\n".utf8)).isEmpty)
        #expect(try parser.read(Array("data: 567\n\n".utf8)) == [.init(data: "1234\n567")])
        #expect(throws: ServerSentEventParser.TooLarge.self) { try parser.read(Array("data: 12345".utf8)) }

        // A line that never ends, and lines that are small but too many.
        var endless = ServerSentEventParser(maximumLine: 10, maximumData: 8)
        #expect(try endless.read(Array(repeating: 0x3A, count: 10)).isEmpty)
        #expect(throws: ServerSentEventParser.TooLarge.self) { try endless.read([0x3A]) }
        var many = ServerSentEventParser(maximumLine: 10, maximumData: 8)
        #expect(throws: ServerSentEventParser.TooLarge.self) { for _ in 0..<10 { _ = try many.read(Array("data\n".utf8)) } }
        // What was told of is forgotten: the bound is of one event.
        var busy = ServerSentEventParser(maximumLine: 10, maximumData: 8)
        for _ in 0..<100 { #expect(try busy.read(Array("data: 1234\n\n".utf8)).count == 1) }
    }
}
