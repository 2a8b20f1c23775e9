import DriveCrypto
import TestSupport
import Testing

@Suite struct CRC32CTests {
    private static func checksum(_ bytes: [UInt8], continuing crc: UInt32 = 0) -> UInt32 {
        bytes.withUnsafeBytes { CRC32C.checksum(of: $0, continuing: crc) }
    }

    // RFC 3720 appendix B.4, and the check value of every CRC catalogue.
    @Test(
        arguments: [
            ([], 0), ([UInt8](repeating: 0, count: 32), 0x8A91_36AA), ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
            (Array(0...31), 0x46DD_794E), (Array((0...31).reversed()), 0x113F_DB5C), (Array("123456789".utf8), 0xE306_9283),
        ] as [([UInt8], UInt32)])
    func givesKnownValues(bytes: [UInt8], expected: UInt32) {
        #expect(Self.checksum(bytes) == expected)
    }

    /// One byte at a time by the table: slow, and short enough to be seen right.
    private struct Bytewise {
        private let table: [UInt32] = (0..<256).map { index in
            (0..<8).reduce(UInt32(index)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
        }
        private(set) var state: UInt32 = .max

        var checksum: UInt32 { ~state }

        mutating func add(_ byte: UInt8) {
            state = state >> 8 ^ table[Int(UInt8(truncatingIfNeeded: state) ^ byte)]
        }
    }

    /// The fast path changes its ways at 8, 4,096 and 12,288 bytes; three whole rounds lie within 40,000.
    @Test func equalsTheBytewiseChecksumForEveryLength() {
        var generator = SeededGenerator(seed: 11)
        let bytes = (0..<40_000).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        var reference = Bytewise()
        var wrong: [Int] = []
        bytes.withUnsafeBytes { all in
            for length in 0...bytes.count {
                if CRC32C.checksum(of: UnsafeRawBufferPointer(rebasing: all[..<length])) != reference.checksum { wrong.append(length) }
                if length < bytes.count { reference.add(bytes[length]) }
            }
        }
        #expect(wrong.isEmpty)
    }

    @Test func doesNotDependOnAlignmentOrSplits() {
        var generator = SeededGenerator(seed: 12)
        let bytes = (0..<60_000).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        for start in 0..<16 {
            let part = Array(bytes[start...])
            let expected = Self.checksum(part)
            bytes.withUnsafeBytes { #expect(CRC32C.checksum(of: UnsafeRawBufferPointer(rebasing: $0[start...])) == expected) }
        }
        let expected = Self.checksum(bytes)
        for _ in 0..<300 {
            let cuts = [0] + (0..<4).map { _ in Int.random(in: 0...bytes.count, using: &generator) }.sorted() + [bytes.count]
            let crc = zip(cuts, cuts.dropFirst()).reduce(UInt32(0)) { Self.checksum(Array(bytes[$1.0..<$1.1]), continuing: $0) }
            #expect(crc == expected)
        }
    }

    @Test(arguments: [(0, "00000000"), (1, "00000001"), (0xE306_9283, "e3069283"), (.max, "ffffffff")] as [(UInt32, String)])
    func isWrittenAsEightDigits(checksum: UInt32, text: String) {
        #expect(CRC32C.hex(checksum) == text)
    }
}

@Suite struct HexTests {
    @Test(arguments: [([], ""), ([0], "00"), ([0x0F, 0xF0, 0xFF, 0x1A], "0ff0ff1a")] as [([UInt8], String)])
    func writesAndReads(bytes: [UInt8], text: String) {
        #expect(Hex.encode(bytes) == text)
        #expect(Hex.decode(text) == bytes)
        #expect(Hex.decode(text.uppercased()) == bytes)
    }

    @Test func readsWhatItWrote() {
        #expect(Hex.decode(Hex.encode(UInt8.min ... .max)) == Array(UInt8.min ... .max))
    }

    @Test(arguments: ["0", "000", "0g", "g0", " 0", "0x", "0:", "0@", "0`", "0/", "é", "００"])
    func rejectsOtherCharacters(text: String) {
        #expect(Hex.decode(text) == nil)
    }
}
