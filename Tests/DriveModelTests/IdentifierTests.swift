import TestSupport
import Testing

@testable import DriveModel

@Suite struct IdentifierTests {
    private static func surroundings(_ bytes: [UInt8]) -> Surroundings {
        Surroundings(now: { Timestamp(seconds: 0) }, randomBytes: { count in (0..<count).map { bytes[$0 % bytes.count] } })
    }

    @Test(arguments: [
        // 0…61 are the alphabet's letters; 248 and above would make some letters likelier and are passed over.
        ([0], "0000000000000000000000"), ([61], "ZZZZZZZZZZZZZZZZZZZZZZ"), ([62, 123, 247], "0ZZ0ZZ0ZZ0ZZ0ZZ0ZZ0ZZ0"),
        ([1, 255, 248], "1111111111117017017017"),
        ([255], "7777777777777777777777"),
    ])
    func takesLettersFromInjectedBytes(bytes: [UInt8], expected: String) {
        let identifier = Self.surroundings(bytes).newIdentifier()
        #expect(identifier.count == 22)
        #expect(identifier == expected)
        #expect(identifier.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) })
    }

    @Test func isUnlikelyToRepeat() {
        let identifiers = (0..<5000).map { _ in Surroundings.system.newIdentifier() }
        #expect(Set(identifiers).count == identifiers.count)
        #expect(identifiers.allSatisfy { $0.utf8.count == 22 })
    }

    @Test func usesEveryLetterAboutEquallyOften() {
        var generator = SeededGenerator(seed: 7)
        var counts: [Character: Int] = [:]
        for _ in 0..<10_000 {
            let bytes = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            for letter in Surroundings.identifier(from: bytes) { counts[letter, default: 0] += 1 }
        }
        // 220,000 letters, 3,548 each; five standard deviations are 295.
        #expect(counts.count == 62)
        #expect(counts.values.allSatisfy { (3250...3850).contains($0) })
    }

    @Test(
        arguments: [
            ([0], 0), ([0x80, 0, 0, 0], 0.5), ([0, 0, 0, 1], 1 / 4_294_967_296), ([255], 1 - 1 / 4_294_967_296),
        ] as [([UInt8], Double)])
    func aFractionStaysBelowOne(bytes: [UInt8], expected: Double) {
        #expect(Self.surroundings(bytes).randomFraction() == expected)
    }

    @Test func givesAsManyRandomBytesAsAsked() {
        for count in [0, 1, 7, 16, 33] { #expect(Surroundings.system.randomBytes(count).count == count) }
    }
}
