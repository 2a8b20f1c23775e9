import Testing

@testable import DriveModel

@Suite struct FileNameFoldingTests {
    @Test(arguments: [
        ("README.md", "readme.MD"), ("Straße", "STRASSE"), ("STRAẞE", "strasse"), ("ΣΟΦΟΣ", "σοφος"), ("ПРИВЕТ", "привет"),
        ("ՀԱՅ", "հայ"), ("Ａｂｃ１", "aBC1"), ("ﬁle", "FILE"), ("A\u{308}", "ä"), ("İ", "i\u{307}"), ("ILIK", "ılık"), ("Ǆ", "ǆ"), ("①", "1"),
        ("a\u{AD}b\u{FE0F}", "AB"), ("ᾼ͂", "ᾷ"), ("𐐀", "𐐨"),
    ])
    func namesThatDifferInCaseAloneAreEqual(left: String, right: String) {
        #expect(Array(FileName.folded(left).utf8) == Array(FileName.folded(right).utf8))
    }

    @Test(arguments: [("é", "e"), ("ё", "е"), ("a b", "ab"), ("a_b", "a-b"), ("日本", "日木"), ("か", "が"), ("", "a")])
    func othersAreNot(left: String, right: String) {
        #expect(FileName.folded(left) != FileName.folded(right))
    }

    /// Every character that has a case folds like all its cases, and what is folded stays so.
    @Test func foldingForgetsCase() {
        var count = 0
        for scalar in (UInt32(0)...0x1FFFF).lazy.compactMap(Unicode.Scalar.init) where scalar.properties.changesWhenCaseMapped {
            count += 1
            let folded = FileName.folded(String(scalar))
            let properties = scalar.properties
            for other in [properties.lowercaseMapping, properties.uppercaseMapping, properties.titlecaseMapping, folded] {
                #expect(Array(FileName.folded(other).utf8) == Array(folded.utf8), "U+\(String(scalar.value, radix: 16))")
            }
        }
        #expect(count > 2500)
    }
}
