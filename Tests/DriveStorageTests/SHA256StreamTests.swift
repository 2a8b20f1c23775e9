import DriveCrypto
import TestSupport
import Testing

@Suite struct SHA256StreamTests {
    private static func stream(_ bytes: some Collection<UInt8>) -> SHA256Stream {
        var stream = SHA256Stream()
        Array(bytes).withUnsafeBytes { stream.update($0) }
        return stream
    }

    private static let content: [UInt8] = {
        var generator = SeededGenerator(seed: 21)
        return (0..<1000).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }()

    // FIPS 180-4's examples (NIST, "SHA256.pdf").
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func givesKnownValues(text: String, digest: String) {
        #expect(Self.stream(text.utf8).hexDigest() == digest)
    }

    @Test func hashesAMillionLetters() {
        let letters = [UInt8](repeating: UInt8(ascii: "a"), count: 1000)
        var stream = SHA256Stream()
        for _ in 0..<1000 { letters.withUnsafeBytes { stream.update($0) } }
        #expect(stream.hexDigest() == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
        #expect(stream.byteCount == 1_000_000)
    }

    /// Wherever it is cut: the saved state, read back, goes on to the same digest.
    @Test func resumesFromASavedStateAtEveryOffset() throws {
        let whole = Self.stream(Self.content).digest()
        for cut in 0...260 {
            let saved = Self.stream(Self.content[..<cut]).savedState()
            var resumed = try #require(SHA256Stream(savedState: saved))
            #expect(resumed.byteCount == Int64(cut))
            Array(Self.content[cut...]).withUnsafeBytes { resumed.update($0) }
            #expect(resumed.digest() == whole)
            #expect(resumed.byteCount == 1000)
        }
    }

    @Test func goesOnAfterADigest() {
        var stream = Self.stream(Self.content[..<500])
        _ = stream.digest()
        Array(Self.content[500...]).withUnsafeBytes { stream.update($0) }
        #expect(stream.digest() == Self.stream(Self.content).digest())
    }

    /// A refused chunk is undone by taking the copy from before it.
    @Test func copiesDoNotShareTheirState() {
        let before = Self.stream(Self.content[..<100])
        var after = before
        Array(Self.content[100...]).withUnsafeBytes { after.update($0) }
        #expect(before.digest() == Self.stream(Self.content[..<100]).digest())
        #expect(before.byteCount == 100)
        #expect(after.digest() == Self.stream(Self.content).digest())
    }

    @Test func anEmptyUpdateChangesNothing() {
        var stream = Self.stream(Self.content)
        let saved = stream.savedState()
        stream.update(UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(stream.savedState() == saved)
    }

    @Test func rejectsForeignStates() {
        let saved = Self.stream(Self.content).savedState()
        let states: [[UInt8]] = [
            [], Array("sha256-ctx-1".utf8), Array(saved.dropLast()), saved + [0], [UInt8](repeating: 0, count: saved.count),
            [UInt8](repeating: 0xFF, count: saved.count), Array("sha256-ctx-2".utf8) + saved.dropFirst(12),
        ]
        for state in states { #expect(SHA256Stream(savedState: state) == nil) }
    }

    /// The counters must agree with each other: count, bit count, and how many bytes wait for their block.
    @Test func rejectsDamagedCounters() throws {
        let saved = Self.stream(Self.content[..<100]).savedState()
        // Header (12), byte count (8), then SHA256_CTX: h (32), Nl, Nh (8), data (64), num, md_len (8).
        for position in [12, 15, 19, 20 + 32, 20 + 36, 20 + 104, 20 + 107, 20 + 108, 20 + 111] {
            for bit in 0..<8 {
                var damaged = saved
                damaged[position] ^= 1 << bit
                #expect(SHA256Stream(savedState: damaged) == nil, "bit \(bit) of byte \(position)")
            }
        }
    }
}
