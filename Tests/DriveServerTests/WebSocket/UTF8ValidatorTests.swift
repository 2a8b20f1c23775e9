import TestSupport
import Testing

@testable import DriveServer

@Suite struct UTF8ValidatorTests {
    private func accepts(_ pieces: [[UInt8]]) -> Bool {
        var validator = UTF8Validator()
        return pieces.allSatisfy { piece in piece.withUnsafeBytes { validator.accept($0) } } && validator.isComplete
    }

    /// Autobahn 6.5 to 6.23.
    @Test(arguments: [
        "", "00", "7f", "c280", "dfbf", "e0a080", "ed9fbf", "ee8080", "efbfbf", "efbfbe", "f0908080", "f48fbfbf", "efbfbd", "f09fbfbe",
        "48656c6c6f2d c2b5 40 c39f c3b6 c3a4 c3bc c3a0 c3a1 2d5554462d3821 21", "ceba e1bdb9 cf83 cebc ceb5",
    ])
    func accepts(hex: String) {
        #expect(accepts([bytes(hex)]))
        #expect(accepts(bytes(hex).map { [$0] }))
    }

    /// With the index of the byte at which no continuation can help.
    @Test(arguments: [
        ("80", 0), ("bf", 0), ("c0 80", 0), ("c1 bf", 0), ("c2 7f", 1), ("c2 c0", 1), ("e0 9f", 1), ("e0 80 80", 1), ("ed a0 80", 1),
        ("ed bf bf", 1), ("e2 28 a1", 1), ("e2 82 28", 2), ("f0 8f", 1), ("f0 80 80 80", 1), ("f4 90 80 80", 1), ("f5", 0), ("f8 88", 0),
        ("ff", 0), ("fe", 0), ("61 62 63 64 65 66 67 68 69 80", 9), ("ceba e1bdb9 f4 90", 6), ("61 e2 82 61", 3),
    ])
    func failsAtTheFirstWrongByte(hex: String, index: Int) {
        let all = bytes(hex)
        var whole = UTF8Validator()
        #expect(!all.withUnsafeBytes { whole.accept($0) })
        var validator = UTF8Validator()
        let failed = all.indices.first { !all[$0...$0].withUnsafeBytes { validator.accept($0) } }
        #expect(failed == index)
    }

    @Test(arguments: ["c2", "e2", "e2 82", "f0 9f", "f0 9f 98", "61 61 61 61 61 61 61 61 c3"])
    func misses(hex: String) {
        var validator = UTF8Validator()
        #expect(bytes(hex).withUnsafeBytes { validator.accept($0) })
        #expect(!validator.isComplete)
    }

    /// Against the standard library, on bytes that are nearly right, cut anywhere.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func agreesWithTheStandardLibrary(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let samples: [Unicode.Scalar] = ["a", "z", "\u{7F}", "ß", "\u{7FF}", "€", "\u{D7FF}", "\u{FFFF}", "😀", "\u{10FFFF}"]
        var outcomes: [Bool: Int] = [:]
        for _ in 0..<500 {
            let length = Int.random(in: 0...40, using: &random)
            var text: [UInt8] = (0..<length).flatMap { _ in Array(String(samples.randomElement(using: &random) ?? "a").utf8) }
            if !text.isEmpty, Bool.random(using: &random) {
                text[Int.random(in: 0..<text.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            let cut = Int.random(in: 0...text.count, using: &random)
            let expected = String(validating: text, as: UTF8.self) != nil
            outcomes[expected, default: 0] += 1
            #expect(accepts([Array(text[..<cut]), Array(text[cut...])]) == expected, "\(text)")
        }
        #expect(outcomes.values.allSatisfy { $0 > 50 } && outcomes.count == 2)
    }
}
