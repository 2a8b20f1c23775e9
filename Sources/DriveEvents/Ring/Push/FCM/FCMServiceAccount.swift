import CryptoExtras
import DriveModel
import Foundation

/// A registration of an application's installation with Firebase Cloud Messaging.
public struct FCMRegistrationToken: Hashable, Sendable {
    /// The token itself, for storage.
    public let rawValue: String

    /// - Parameter text: what the application got: visible ASCII, at most 4096 characters.
    public init?(_ text: String) {
        guard (1...4096).contains(text.utf8.count), text.utf8.allSatisfy(ASCII.isVisible) else { return nil }
        rawValue = text
    }
}

extension FCMRegistrationToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "FCM device …\(rawValue.suffix(4))" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [(label: String?, value: Any)]()) }
}

/// How the server signs in to Google: the service account's key file.
public struct FCMServiceAccount: Sendable {
    static let scope = "https://www.googleapis.com/auth/firebase.messaging"
    /// The longest life of a grant.
    static let grantLifetime = Duration.seconds(3600)

    let projectID: String
    let clientEmail: String
    let tokenURI: String
    private let keyID: String
    private let key: PushSecret<_RSA.Signing.PrivateKey>

    /// - Parameter json: the text of the key file.
    /// - Throws: `PushCredentialsError` for the file (`fcm service account`) or the field in it: `project_id`, `client_email`,
    ///   `private_key_id`, `private_key`, `token_uri`.
    public init(json: String) throws(PushCredentialsError) {
        guard let file = try? DriveJSON.plainDecoder().decode([String: JSONValue].self, from: Data(json.utf8)),
            file["type"]?.string == "service_account"
        else { throw PushCredentialsError("fcm service account", expected: "the JSON key file of a service account") }
        func text(_ name: String) throws(PushCredentialsError) -> String {
            guard let text = file[name]?.string, (1...512).contains(text.utf8.count), text.utf8.allSatisfy(ASCII.isVisible) else {
                throw PushCredentialsError(name, expected: "a text")
            }
            return text
        }
        projectID = try text("project_id")
        // It becomes a part of a path. Old projects belong to a domain: `example.com:name`.
        guard projectID.utf8.allSatisfy({ ASCII.isAlphanumeric($0) || "-.:".utf8.contains($0) }), !projectID.hasPrefix(".") else {
            throw PushCredentialsError("project_id", expected: "the id of a project")
        }
        clientEmail = try text("client_email")
        keyID = try text("private_key_id")
        tokenURI = try text("token_uri")
        guard PushEndpoint(tokenURI, policy: .any) != nil else { throw PushCredentialsError("token_uri", expected: "an https URL") }
        guard let key = file["private_key"]?.string.flatMap({ try? _RSA.Signing.PrivateKey(pemRepresentation: $0) }) else {
            throw PushCredentialsError("private_key", expected: "an RSA key of 2048 bits or more in PEM")
        }
        self.key = PushSecret(key)
    }

    /// The request for an access token (RFC 7523 section 2.1, "Using OAuth 2.0 for server to server applications").
    func grantRequest(now: Timestamp) throws -> PushRequest {
        var header = JSONObjectWriter()
        header.add("kid", keyID)
        var claims = JSONObjectWriter()
        claims.add("iss", clientEmail)
        claims.add("scope", Self.scope)
        claims.add("aud", tokenURI)
        claims.add("iat", now.seconds)
        claims.add("exp", (now + Self.grantLifetime).seconds)
        let assertion = try SignedToken.rs256(header: header, claims: claims, key: key.value)
        return PushRequest(
            url: tokenURI, headers: [PushHeader("content-type", "application/x-www-form-urlencoded")],
            body: Array("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=\(assertion)".utf8))
    }
}
