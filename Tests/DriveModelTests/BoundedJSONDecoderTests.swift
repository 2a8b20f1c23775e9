import DriveModel
import Foundation
import Testing

@Suite struct BoundedJSONDecoderTests {
    private static func nested(_ depth: Int, _ open: String = "{\"a\":", _ close: String = "}") -> Data {
        Data((String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)).utf8)
    }

    /// On a thread with half a mebibyte of stack, of which the server has some.
    private static func onASmallStack<Result: Sendable>(_ work: @escaping @Sendable () -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            let thread = Thread { continuation.resume(returning: work()) }
            thread.stackSize = 512 << 10
            thread.start()
        }
    }

    @Test(arguments: [("{\"a\":", "}"), ("[", "]"), ("[{\"\\\"[{\\\\\":", "}]")])
    func whatIsNestedDeeperIsNotRead(open: String, close: String) async {
        let levels = open.hasPrefix("[{") ? 2 : 1
        for (depth, isRead) in [(1, true), (64 / levels, true), (64 / levels + 1, false), (500 / levels, false), (100_000, false)] {
            let data = Self.nested(depth, open, close)
            let read = await Self.onASmallStack { () -> Result<JSONValue, any Error> in
                Result { try DriveJSON.requestDecoder().decode(JSONValue.self, from: data) }
            }
            switch read {
            case .success: #expect(isRead, "\(open) \(depth)")
            case .failure(let error):
                #expect(!isRead && JSONTooDeep(error)?.maximum == DriveJSON.maximumDepth, "\(open) \(depth): \(error)")
            }
        }
    }

    /// What is stored has what others sent within its own, on threads that have less of a stack.
    @Test func whatWasTakenIsReadWhereverItIsStored() async throws {
        let sent = try DriveJSON.requestDecoder().decode(JSONValue.self, from: Self.nested(DriveJSON.maximumDepth))
        let stored = try DriveJSON.text(["data": ["results": sent]] as [String: JSONValue])
        let read = await Self.onASmallStack { try? DriveJSON.text(DriveJSON.value([String: JSONValue].self, from: stored)) }
        #expect(read == stored)
    }

    /// Stored texts may be nested a little deeper than those of others; what is deeper still is damage, and no end of the process.
    @Test func theBoundOfWhatIsStored() async {
        for (depth, isRead) in [(80, true), (81, false), (100_000, false)] {
            let data = Self.nested(depth)
            let read = await Self.onASmallStack { (try? DriveJSON.plainDecoder().decode(JSONValue.self, from: data)) != nil }
            #expect(read == isRead, "\(depth)")
        }
    }

    /// Bytes that are no JSON are an error of the decoder's, however they are nested.
    @Test(
        arguments: [
            [], [0xEF, 0xBB, 0xBF], [0xFF, 0xFE, 0x7B, 0x00, 0x7D, 0x00],
            Array("\"".utf8) + [0xC3] + Array("\"".utf8) + Array(repeating: 0x5B, count: 100_000),
            Array(repeating: 0x5D, count: 1000) + Array(repeating: 0x5B, count: 1000),
        ] as [[UInt8]]) func whatIsNoJSONIsRefused(bytes: [UInt8]) async
    {
        let isRead = await Self.onASmallStack { (try? DriveJSON.requestDecoder().decode(JSONValue.self, from: Data(bytes))) != nil }
        #expect(!isRead)
    }

    /// A byte order mark, which RFC 8259 section 8.1 lets a reader ignore.
    @Test func aByteOrderMarkIsIgnored() throws {
        #expect(try DriveJSON.requestDecoder().decode(JSONValue.self, from: Data([0xEF, 0xBB, 0xBF] + Array("{}".utf8))) == .object([:]))
    }

    /// Brackets of texts do not count, nor do those that are closed.
    @Test func onlyNestingCounts() throws {
        let wide = "[" + Array(repeating: "[{}]", count: 10_000).joined(separator: ",") + "]"
        #expect(try DriveJSON.requestDecoder().decode(JSONValue.self, from: Data(wide.utf8)) != .null)
        let text = String(repeating: "[{\\\"", count: 1000)
        #expect(try DriveJSON.requestDecoder().decode([String].self, from: Data("[\"\(text)\"]".utf8)) == [text.replacing("\\", with: "")])
    }

    /// RFC 8259 section 8.1: UTF-8, in which no byte is zero.
    @Test(arguments: [String.Encoding.utf16LittleEndian, .utf16BigEndian, .utf32LittleEndian, .utf32BigEndian])
    func otherEncodingsAreNotRead(encoding: String.Encoding) throws {
        let data = try #require("{\"a\":1}".data(using: encoding))
        #expect(throws: DecodingError.self) { try DriveJSON.requestDecoder().decode(JSONValue.self, from: data) }
    }

    @Test func keysAreReadInBothWays() throws {
        struct Request: Decodable { var fileName: String }
        for key in ["fileName", "file_name"] {
            #expect(try DriveJSON.requestDecoder().decode(Request.self, from: Data("{\"\(key)\":\"a\"}".utf8)).fileName == "a")
        }
        #expect(throws: DecodingError.self) {
            try DriveJSON.plainDecoder().decode(Request.self, from: Data("{\"file_name\":\"a\"}".utf8))
        }
    }
}
