import DriveModel
import Testing

@testable import DriveServer

@Suite struct ContentDispositionParsingTests {
    private static let long = String(repeating: "é", count: 200)

    /// RFC 6266, and what a name that is stored may not have.
    @Test(arguments: [
        ("attachment; filename=\"a.txt\"", String?.some("a.txt")), ("inline; filename=\"a.txt\"", "a.txt"),
        ("INLINE; FileName=a.txt", "a.txt"), ("inline;filename=\"a b;c.txt\"", "a b;c.txt"),
        ("inline; filename=\"x\"; filename*=UTF-8''%e2%82%ac.txt", "€.txt"), ("inline; filename*=iso-8859-1'en'%e4.txt", "ä.txt"),
        ("inline; filename=\"x.txt\"; filename*=UTF-16''a", "x.txt"), ("inline; filename=\"x.txt\"; filename*=UTF-8''%ff", "x.txt"),
        ("inline; filename=\"../../etc/passwd\"", "passwd"), ("inline; filename=\"C:\\\\dir\\\\a.txt\"", "a.txt"),
        ("inline; filename*=UTF-8''%2Fetc%2Fpasswd", "passwd"), ("inline; filename*=UTF-8''a%00b%0D%0Ac", "a_b__c"),
        ("inline; filename*=UTF-8''a%E2%80%AEgpj.exe", "a_gpj.exe"), ("inline; filename=\"dir/\"", "dir"),
        ("inline; filename=\"..\"", nil), ("inline; filename=\"../..\"", nil), ("inline; filename=\"\"", nil),
        ("inline; filename=\" \"", nil),
        ("inline; filename=\"/\"", nil), ("inline", nil), ("", nil), ("inline; filename=\"a", nil), ("inline; name=\"a\"", nil),
        ("inline; filename=a; filename=b", nil),
    ])
    func readsNames(text: String, name: String?) {
        #expect(ContentDisposition.fileName(in: text) == name)
    }

    @Test func shortensLongNamesBeforeTheExtension() throws {
        let name = try #require(ContentDisposition.fileName(in: "inline; filename=\"\(Self.long).txt\""))
        #expect(name.hasSuffix("é.txt") && (254...255).contains(name.utf8.count))
        let plain = try #require(ContentDisposition.fileName(in: "inline; filename=\"\(Self.long)\""))
        #expect((254...255).contains(plain.utf8.count))
        let odd = try #require(ContentDisposition.fileName(in: "inline; filename=\"a.\(Self.long)\""))
        #expect(odd.hasPrefix("a.é") && (254...255).contains(odd.utf8.count))
    }

    /// Whatever comes, the result is a name that may be stored.
    @Test func everyNameIsValid() {
        for value in (0...0x2100 as ClosedRange<UInt32>) {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let encoded = String(scalar).utf8.map { "%" + (String($0, radix: 16).count < 2 ? "0" : "") + String($0, radix: 16) }.joined()
            guard let name = ContentDisposition.fileName(in: "inline; filename*=UTF-8''a\(encoded)b") else {
                Issue.record("U+\(String(value, radix: 16)) leaves no name")
                continue
            }
            #expect((try? FileName(name).value) == name)
        }
    }
}
