import DriveModel
import Foundation

/// A token (RFC 7515, RFC 7519) taken apart, to be changed and signed again by hand.
struct HandSignedToken: Sendable {
    var header: [String: JSONValue]
    var claims: [String: JSONValue]

    init?(_ token: String) {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Self.object(parts[0]), let claims = Self.object(parts[1]) else { return nil }
        self.header = header
        self.claims = claims
    }

    /// Header and payload as they are signed.
    private func signedPart() throws -> String {
        try Self.base64URL(Array(DriveJSON.text(JSONValue.object(header)).utf8)) + "."
            + Self.base64URL(Array(DriveJSON.text(JSONValue.object(claims)).utf8))
    }

    func signed(with key: [UInt8]) throws -> String {
        let text = try signedPart()
        return text + "." + Self.base64URL(hmacSHA256(key: key, Array(text.utf8)))
    }

    func signed(with signature: String) throws -> String { try signedPart() + "." + signature }

    /// The key by which a server of this folder signs: `DATA/secrets/signing.key`, raw or base64.
    static func key(of data: DataFolder) throws -> [UInt8] {
        let content = try Data(contentsOf: URL(fileURLWithPath: data.path + "/secrets/signing.key"))
        if content.count == 32 { return [UInt8](content) }
        let text = String(decoding: content, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard let key = Data(base64Encoded: text), key.count == 32 else { throw CommandFailed(description: "signing.key holds no key") }
        return [UInt8](key)
    }

    /// `jti`: the token's id on record.
    var id: String? { claims["jti"]?.string }
    /// `sub`: the account's id.
    var account: String? { claims["sub"]?.string }

    static func base64URL(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    private static func object(_ part: Substring) -> [String: JSONValue]? {
        let text = part.replacing("-", with: "+").replacing("_", with: "/")
        let padding = String(repeating: "=", count: (4 - text.count % 4) % 4)
        guard let data = Data(base64Encoded: text + padding) else { return nil }
        return try? JSONDecoder().decode([String: JSONValue].self, from: data)
    }
}
