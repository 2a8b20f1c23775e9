import DriveModel
import Foundation

/// A signed token in compact form (RFC 7515 §7.1), taken apart. Nothing in it is to be believed before the signature was checked.
struct CompactToken {
    /// Longer tokens are refused unread.
    static let longest = 8192

    /// `alg` and `kid` are all that is read of the header. `jku`, `jwk`, `x5u` and `x5c` never are: no key comes from a token.
    let algorithm: String
    let keyId: String?
    let claims: TokenClaims
    let signature: [UInt8]
    /// The bytes under the signature: header, dot, payload.
    let signed: ArraySlice<UInt8>

    init(_ token: [UInt8]) throws(DriveError) {
        guard token.count <= Self.longest else { throw TokenFault.tooLong.error }
        let parts = token.split(separator: UInt8(ascii: "."), maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Base64URL.decode(parts[0]), let payload = Base64URL.decode(parts[1]),
            let signature = Base64URL.decode(parts[2])
        else { throw TokenFault.malformed.error }
        guard case .object(let fields)? = Self.json(header), case .string(let algorithm)? = fields["alg"] else {
            throw TokenFault.malformed.error
        }
        // An extension we do not know must be refused (RFC 7515 §4.1.11), and we know none.
        guard fields["crit"] == nil else { throw TokenFault.criticalExtension.error }
        if let kid = fields["kid"], kid.string == nil { throw TokenFault.malformed.error }
        guard case .object(let claims)? = Self.json(payload) else { throw TokenFault.malformed.error }
        self.algorithm = algorithm
        self.keyId = fields["kid"]?.string
        self.claims = TokenClaims(fields: claims)
        self.signature = signature
        self.signed = token[..<parts[1].endIndex]
    }

    private static func json(_ bytes: [UInt8]) -> JSONValue? {
        try? DriveJSON.plainDecoder().decode(JSONValue.self, from: Data(bytes))
    }
}

/// The claims of a token (RFC 7519 §4), read by name.
struct TokenClaims {
    let fields: [String: JSONValue]

    /// The audiences: `aud` is a text or a list of texts (RFC 7519 §4.1.3).
    var audiences: [String] {
        switch fields["aud"] {
        case .string(let audience)?: [audience]
        case .array(let list)?: list.compactMap(\.string)
        default: []
        }
    }

    func text(_ name: String) -> String? { fields[name]?.string }

    /// A date in seconds since 1970 (RFC 7519 §2, NumericDate); throws where the claim is there and is none.
    func date(_ name: String) throws(DriveError) -> Timestamp? {
        switch fields[name] {
        case nil: return nil
        case .integer(let seconds)? where (0...Self.latest).contains(seconds): return Timestamp(seconds: seconds)
        case .double(let seconds)? where seconds >= 0 && seconds <= Double(Self.latest):
            return Timestamp(microseconds: Int64(seconds * 1_000_000))
        default: throw TokenFault.malformed.error
        }
    }

    /// Whether the claim `name`, a text or a list, holds `value`. Where no claim has the whole name, dots lead
    /// into objects: `realm_access.roles`.
    func holds(_ value: String, in name: String) -> Bool {
        var found = fields[name]
        if found == nil {
            found = name.split(separator: ".").reduce(JSONValue.object(fields) as JSONValue?) { node, key in node?[String(key)] }
        }
        switch found {
        case .string(let text)?: return text == value
        case .array(let list)?: return list.contains(.string(value))
        default: return false
        }
    }

    /// The end of the year 9999.
    private static let latest: Int64 = 253_402_300_799
}

/// Why a token is refused; each names its rule.
enum TokenFault: String {
    case tooLong = "it is longer than 8 KiB"
    case malformed = "it is not a signed JSON web token"
    case criticalExtension = "its header demands an extension (crit) that is not known"
    case unknownIssuer = "its issuer is not trusted"
    case unknownKey = "its key (kid) is not known"
    case wrongAlgorithm = "its algorithm is not the one of its key"
    case badSignature = "its signature does not fit"
    case wrongAudience = "it was made for another audience"
    case noExpiry = "it has no time of expiry"
    case expired = "it has expired"
    case notYetValid = "it is not valid yet"
    case issuedInFuture = "it was issued in the future"
    case incomplete = "a claim is missing or has a wrong form"
    case unknownAccount = "its account does not exist"
    case unknownToken = "it is not on record"

    var error: DriveError { DriveError(.unauthenticated, "The access token was refused: \(rawValue).") }
}
