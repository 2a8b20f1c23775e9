import Crypto
import DriveModel
import Foundation

/// A device's address at Apple's push service, for one application and one environment.
public struct APNsDeviceToken: Hashable, Sendable {
    /// Hexadecimal digits in lower case.
    let text: String

    /// - Parameter text: what the application got, as hexadecimal digits. Apple promises no length; up to 100 bytes are read.
    public init?(_ text: String) {
        let digits = text.lowercased()
        guard (64...200).contains(digits.utf8.count), digits.utf8.count.isMultiple(of: 2),
            digits.utf8.allSatisfy({ ASCII.isDigit($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0) })
        else { return nil }
        self.text = digits
    }

    /// The token itself, for storage.
    public var rawValue: String { text }
}

extension APNsDeviceToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "APNs device …\(text.suffix(4))" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [(label: String?, value: Any)]()) }
}

/// How the server signs in to APNs: a key of the developer account, which signs a token.
public struct APNsCredentials: Sendable {
    let key: PushSecret<P256.Signing.PrivateKey>
    let keyID: String
    let teamID: String
    /// The application's bundle identifier.
    let topic: String

    /// - Parameters:
    ///   - key: the text of the `.p8` file.
    ///   - keyID: ten letters and digits, as the developer account shows it; `teamID` likewise.
    ///   - topic: the application's bundle identifier.
    /// - Throws: `PushCredentialsError` for `apns key`, `apns key id`, `apns team id` or `apns topic`.
    public init(key: String, keyID: String, teamID: String, topic: String) throws(PushCredentialsError) {
        guard let parsed = try? P256.Signing.PrivateKey(pemRepresentation: key.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw PushCredentialsError("apns key", expected: "a P-256 private key in PEM, as a .p8 file holds it")
        }
        for (field, value) in [("apns key id", keyID), ("apns team id", teamID)] {
            guard value.utf8.count == 10, value.utf8.allSatisfy(ASCII.isAlphanumeric) else {
                throw PushCredentialsError(field, expected: "ten letters and digits")
            }
        }
        guard (1...255).contains(topic.utf8.count), topic.utf8.allSatisfy({ ASCII.isAlphanumeric($0) || $0 == 0x2D || $0 == 0x2E }) else {
            throw PushCredentialsError("apns topic", expected: "a bundle identifier")
        }
        self.key = PushSecret(parsed)
        self.keyID = keyID
        self.teamID = teamID
        self.topic = topic
    }

    /// The provider token ("Establishing a token-based connection to APNs").
    func token(issued: Timestamp) throws -> String {
        var header = JSONObjectWriter()
        header.add("kid", keyID)
        var claims = JSONObjectWriter()
        claims.add("iss", teamID)
        claims.add("iat", issued.seconds)
        return try SignedToken.es256(header: header, claims: claims, key: key.value)
    }
}
