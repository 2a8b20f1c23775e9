import Foundation
import TestSupport
import Testing

@testable import DriveModel

/// What it writes, `JSONDecoder` reads as it was meant.
@Suite struct JSONObjectWriterTests {
    private static func decoded(_ text: String) throws -> [String: JSONValue] {
        try JSONDecoder().decode([String: JSONValue].self, from: Data(text.utf8))
    }

    private static func written(_ value: JSONValue) throws -> JSONValue? {
        var writer = JSONObjectWriter()
        writer.add("v", value)
        return try decoded(writer.text)["v"]
    }

    @Test func nothingIsAnEmptyObject() throws {
        #expect(JSONObjectWriter().text == "{}")
        #expect(try Self.decoded(JSONObjectWriter().text) == [:])
    }

    @Test func membersStandInTheirOrder() {
        var writer = JSONObjectWriter()
        writer.add("b", "x")
        writer.add("a", Int64(-7))
        writer.add("raw", json: #"{"z":[1,2]}"#)
        writer.add("o", ["y": 1, "x": [.null, true, .double(1.5)]])
        #expect(writer.text == #"{"b":"x","a":-7,"raw":{"z":[1,2]},"o":{"x":[null,true,1.5],"y":1}}"#)
    }

    /// All of Unicode, as values and, for the awkward ones, as names too.
    @Test func everyScalarComesBack() throws {
        let planes = stride(from: UInt32(0), through: 0x10FFFF, by: 0x1000)
        for start in planes {
            let scalars = (start..<start + 0x1000).compactMap(Unicode.Scalar.init)
            guard !scalars.isEmpty else { continue }
            var text = String.UnicodeScalarView()
            text.append(contentsOf: scalars)
            var writer = JSONObjectWriter()
            writer.add("v", String(text))
            // Byte for byte: equal strings may differ in their scalars.
            guard case .string(let back)? = try Self.decoded(writer.text)["v"] else {
                Issue.record("no text from U+\(String(start, radix: 16))")
                continue
            }
            #expect(back.unicodeScalars.elementsEqual(scalars), "from U+\(String(start, radix: 16))")
        }
    }

    @Test(arguments: Array(UInt32(0)..<0x30) + [0x5C, 0x7F, 0x80, 0x9F, 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF, 0x1F468])
    func aScalarComesBackAloneAndAsAName(value: UInt32) throws {
        let text = String(try #require(Unicode.Scalar(value)))
        for text in [text, "a" + text, text + "\"", "\\" + text + "\\", text + text] {
            var writer = JSONObjectWriter()
            writer.add(text, text)
            let members = try Self.decoded(writer.text)
            #expect(members == [text: .string(text)])
            guard case .string(let back)? = members.values.first else { continue }
            #expect(Array(back.utf8) == Array(text.utf8))
        }
        // RFC 8259, section 7: no control character stands unescaped.
        var writer = JSONObjectWriter()
        writer.add("v", text)
        #expect(writer.text.utf8.allSatisfy { $0 >= 0x20 })
    }

    @Test(
        arguments: [
            0, -0.0, 0.1, -0.5, 1 / 3, 1e15, 1e16, 1e21, 1e300, -1e300, .leastNonzeroMagnitude, 1e-7, 100, 12.34, .pi,
            .greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNormalMagnitude, 9_007_199_254_740_992, 9.2e18, 9.3e18,
            1.8446744073709552e19,
        ] as [Double])
    func doublesComeBack(value: Double) throws {
        switch try #require(try Self.written(.double(value))) {
        case .integer(let whole): #expect(Double(whole) == value)
        case .unsigned(let whole): #expect(Double(whole) == value)
        case .double(let back): #expect(back == value)
        case let other: Issue.record("\(other)")
        }
    }

    @Test func anyDoubleComesBack() throws {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<2000 {
            let value = Double(bitPattern: generator.next())
            guard value.isFinite else { continue }
            switch try Self.written(.double(value)) {
            case .integer(let whole)?: #expect(Double(whole) == value)
            case .unsigned(let whole)?: #expect(Double(whole) == value)
            case .double(let back)?: #expect(back == value)
            default: Issue.record("\(value)")
            }
        }
    }

    /// JSON has no word for them.
    @Test(arguments: [Double.nan, .infinity, -.infinity, .signalingNaN])
    func whatIsNoNumberIsNull(value: Double) throws {
        #expect(try Self.written(.double(value)) == .null)
    }

    @Test(arguments: [Int64.min, .min + 1, -1, 0, 1, 1 << 53, (1 << 53) + 1, .max])
    func integersComeBack(value: Int64) throws {
        var writer = JSONObjectWriter()
        writer.add("plain", value)
        writer.add("value", JSONValue.integer(value))
        #expect(try Self.decoded(writer.text) == ["plain": .integer(value), "value": .integer(value)])
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func anyDocumentComesBack(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<20 {
            let value = Self.document(depth: 4, using: &generator)
            #expect(try Self.written(value) == value)
        }
    }

    private static func document(depth: Int, using generator: inout SeededGenerator) -> JSONValue {
        let scalars = (0..<Int.random(in: 0...6, using: &generator)).map { _ in UInt32.random(in: 0...0x300, using: &generator) }
        let text = String(String.UnicodeScalarView(scalars.compactMap(Unicode.Scalar.init)))
        switch Int.random(in: 0...(depth > 0 ? 6 : 4), using: &generator) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &generator))
        case 2: return .integer(Int64(bitPattern: generator.next()))
        // Not a whole one, which comes back as an integer.
        case 3: return .double(Double(Int.random(in: -1000...1000, using: &generator)) + 0.5)
        case 4: return .string(text)
        case 5: return .array((0..<3).map { _ in document(depth: depth - 1, using: &generator) })
        default:
            var members: [String: JSONValue] = [:]
            for index in 0..<3 { members[text + "\(index)"] = document(depth: depth - 1, using: &generator) }
            return .object(members)
        }
    }
}
