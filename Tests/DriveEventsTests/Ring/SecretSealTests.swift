import DriveModel
import Foundation
import Testing

@testable import DriveEvents

@Suite struct SecretSealTests {
    @Test(arguments: ["", "a", "größer ✓", String(repeating: "x", count: 5000)])
    func whatIsSealedOpensInItsPlaceAlone(_ text: String) throws {
        let seal = SecretSeal.sample()
        let sealed = try seal.seal(text, for: "row 1")
        #expect(try seal.open(sealed, for: "row 1") == text)
        #expect(text.count < 8 || !sealed.contains(text))
        #expect(sealed.hasPrefix("0badc0de."))
        #expect(try seal.seal(text, for: "row 1") != sealed, "a nonce of its own each time")
        #expect(throws: SecretSeal.Failure.damaged) { try seal.open(sealed, for: "row 2") }
        #expect(throws: SecretSeal.Failure.damaged) { try SecretSeal.sample(purpose: "other").open(sealed, for: "row 1") }
        #expect(throws: SecretSeal.Failure.otherKey(id: "0badc0de")) { try SecretSeal.sample(8, id: "11111111").open(sealed, for: "row 1") }
    }

    @Test func anyChangeIsFound() throws {
        let seal = SecretSeal.sample()
        let sealed = try seal.seal("secret", for: "row")
        let parts = sealed.split(separator: ".").map(String.init)
        let bytes = try #require(Base64URL.decode(parts[1].utf8))
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 1
            #expect(throws: SecretSeal.Failure.damaged) { try seal.open(parts[0] + "." + Base64URL.encode(changed), for: "row") }
        }
        for text in ["", ".", "0badc0de", "0badc0de.", "0badc0de.!", "0badc0de.AAAA"] {
            #expect(throws: SecretSeal.Failure.damaged, "\(text)") { try seal.open(text, for: "row") }
        }
    }

    @Test func aFingerprintIsTheSameForTheSameKeyAndTextAlone() {
        let seal = SecretSeal.sample()
        #expect(seal.fingerprint("a") == SecretSeal.sample().fingerprint("a"))
        let others = [
            seal.fingerprint("b"), SecretSeal.sample(8).fingerprint("a"), SecretSeal.sample(purpose: "other").fingerprint("a"),
        ]
        #expect(Set(others + [seal.fingerprint("a")]).count == 4)
    }

    @Test func itShowsNoKey() {
        var text = ""
        dump(SecretSeal.sample(), to: &text)
        #expect(text.contains("hidden") && !text.contains("7, 7"))
    }
}
