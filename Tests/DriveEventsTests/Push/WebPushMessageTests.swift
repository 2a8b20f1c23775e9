import Crypto
import DriveModel
import Foundation
import TestSupport
import Testing

@testable import DriveEvents

@Suite struct WebPushMessageTests {
    /// RFC 8291 section 5 and appendix A.
    enum Vector {
        static let plaintext = "When I grow up, I want to be a watermelon"
        static let senderKey = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
        static let receiverKey = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
        static let receiverPublic = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
        static let auth = "BTBZMqHH6r4Tts7J_aSIgg"
        static let salt = "DGv6ra1nlYgDCS1FRnbzlw"
        static let inputKey = "S4lYMb_L0FxCeq0WhDx813KgSYqU26kOyzWUdsXYyrg"
        static let contentKey = "oIhVW04MRdy2XN9CiKLxTg"
        static let nonce = "4h_95klXJ5E_qnoN"
        static let body =
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95b"
            + "Qpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    }

    private func bytes(_ text: String) throws -> [UInt8] { [UInt8](try #require(ReadToken.bytes(text))) }

    @Test func theSpecificationsExample() throws {
        let fresh = WebPushMessage.Fresh(
            salt: try bytes(Vector.salt), key: try P256.KeyAgreement.PrivateKey(rawRepresentation: bytes(Vector.senderKey)))
        let body = try WebPushMessage.encrypt(
            Array(Vector.plaintext.utf8), publicKey: bytes(Vector.receiverPublic), authenticationSecret: bytes(Vector.auth), fresh: fresh)
        #expect(body == (try bytes(Vector.body)))
    }

    /// The other tests believe the receiver; this one shows that they may.
    @Test func theReceiverOfTheseTestsOpensTheExample() throws {
        let receiver = WebPushReceiver(
            key: try P256.KeyAgreement.PrivateKey(rawRepresentation: bytes(Vector.receiverKey)),
            authenticationSecret: try bytes(Vector.auth))
        let opened = try receiver.open(bytes(Vector.body))
        #expect(String(decoding: opened.plaintext, as: UTF8.self) == Vector.plaintext)
        #expect(opened.inputKey == (try bytes(Vector.inputKey)))
        #expect(opened.contentKey == (try bytes(Vector.contentKey)))
        #expect(opened.nonce == (try bytes(Vector.nonce)))
        var altered = try bytes(Vector.body)
        altered[altered.count - 20] ^= 1
        #expect(throws: (any Error).self) { try receiver.open(altered) }
    }

    @Test(arguments: [(0, 0), (1, 0), (0, 256), (255, 256), (256, 256), (300, 256), (3992, 4096), (3993, 0), (3993, 5000)])
    func opens(_ length: Int, paddedTo: Int) throws {
        var generator = SeededGenerator(seed: UInt64(length))
        let plaintext = (0..<length).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        let receiver = WebPushReceiver(key: P256.KeyAgreement.PrivateKey(), authenticationSecret: Array(0..<16))
        let fresh = try WebPushMessage.Fresh(randomBytes: PushClock().surroundings().randomBytes)
        let body = try WebPushMessage.encrypt(
            plaintext, publicKey: receiver.publicKey, authenticationSecret: receiver.authenticationSecret, fresh: fresh, paddedTo: paddedTo)
        let opened = try receiver.open(body)
        #expect(opened.plaintext == plaintext)
        #expect(opened.recordSize == 4096)
        #expect(opened.padding == max(0, min(paddedTo, 3993) - length))
        #expect(body.count <= 4096)
    }

    @Test func aFullMessageIsOfTheSizeEveryServiceTakes() throws {
        #expect(WebPushMessage.maximumPlaintext == 3993)
        let receiver = P256.KeyAgreement.PrivateKey()
        func encrypt(_ count: Int) throws -> [UInt8] {
            try WebPushMessage.encrypt(
                [UInt8](repeating: 7, count: count), publicKey: [UInt8](receiver.publicKey.x963Representation),
                authenticationSecret: [UInt8](repeating: 1, count: 16),
                fresh: WebPushMessage.Fresh(randomBytes: PushClock().surroundings().randomBytes))
        }
        #expect(try encrypt(3993).count == 4096)
        #expect(throws: WebPushMessage.Failure.tooLong) { try encrypt(3994) }
    }

    @Test func everyMessageHasItsOwnSaltAndKey() throws {
        let random = PushClock().surroundings().randomBytes
        let (first, second) = (try WebPushMessage.Fresh(randomBytes: random), try WebPushMessage.Fresh(randomBytes: random))
        #expect(first.salt != second.salt)
        #expect(first.key.rawRepresentation != second.key.rawRepresentation)
        // Zero is no key; a source that gives nothing else must not loop for ever.
        #expect(throws: WebPushMessage.Failure.invalidKey) {
            try WebPushMessage.Fresh(randomBytes: { [UInt8](repeating: 0, count: $0) })
        }
    }
}
