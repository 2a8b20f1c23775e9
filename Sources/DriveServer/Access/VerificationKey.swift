import DriveModel
import Foundation
import JWTKit

/// A public key with the one algorithm it may be used with (RFC 8725 §3.1).
struct VerificationKey: Sendable {
    typealias Algorithm = DriveConfiguration.SignatureAlgorithm

    let algorithm: Algorithm
    private let verifier: any JWTAlgorithm

    func isValid(_ signature: [UInt8], for bytes: ArraySlice<UInt8>) -> Bool {
        (try? verifier.verify(signature, signs: bytes)) ?? false
    }

    /// Reads a public key or a certificate in PEM. Throws a `SecretError` that tells why it is refused.
    init(pem: String, algorithm: Algorithm) async throws {
        let certificate = pem.contains("-----BEGIN CERTIFICATE-----")
        let keys = JWTKeyCollection()
        do {
            switch algorithm {
            case .rs256:
                let key = certificate ? try Insecure.RSA.PublicKey(certificatePEM: pem) : try Insecure.RSA.PublicKey(pem: pem)
                await keys.add(rsa: key, digestAlgorithm: .sha256)
            case .es256:
                await keys.add(ecdsa: certificate ? try ES256PublicKey(certificate: pem) : try ES256PublicKey(pem: pem))
            case .edDSA:
                await keys.add(eddsa: try EdDSA.PublicKey(pem: pem))
            }
            verifier = try await keys.getKey()
            self.algorithm = algorithm
        } catch {
            throw SecretError(
                message: "the PEM text is no public key for \(algorithm.rawValue) (an RSA key needs 2048 bits at least)")
        }
    }

    /// Reads a key of a set (RFC 7517 §4); nil where it is not to be used: for another purpose, of another kind, too weak,
    /// or for an algorithm that `allowed` has not.
    init?(jwk: JSONValue, allowed: [Algorithm]) async {
        guard let algorithm = Self.algorithm(of: jwk), allowed.contains(algorithm) else { return nil }
        let keys = JWTKeyCollection()
        do {
            switch algorithm {
            case .rs256:
                guard let modulus = jwk["n"]?.string, let exponent = jwk["e"]?.string else { return nil }
                await keys.add(rsa: try Insecure.RSA.PublicKey(modulus: modulus, exponent: exponent), digestAlgorithm: .sha256)
            case .es256:
                guard let x = jwk["x"]?.string, let y = jwk["y"]?.string else { return nil }
                await keys.add(ecdsa: try ES256PublicKey(parameters: (x, y)))
            case .edDSA:
                guard let x = jwk["x"]?.string else { return nil }
                await keys.add(eddsa: try EdDSA.PublicKey(x: x, curve: .ed25519))
            }
            verifier = try await keys.getKey()
            self.algorithm = algorithm
        } catch {
            return nil
        }
    }

    /// The algorithm follows from the kind of key; `alg`, `use` and `key_ops` must not speak against it.
    private static func algorithm(of jwk: JSONValue) -> Algorithm? {
        let algorithm: Algorithm
        switch (jwk["kty"]?.string, jwk["crv"]?.string) {
        case ("RSA"?, _): algorithm = .rs256
        case ("EC"?, "P-256"?): algorithm = .es256
        case ("OKP"?, "Ed25519"?): algorithm = .edDSA
        default: return nil
        }
        if let stated = jwk["alg"], stated.string != algorithm.rawValue { return nil }
        if let use = jwk["use"], use.string != "sig" { return nil }
        if case .array(let operations)? = jwk["key_ops"], !operations.contains("verify") { return nil }
        return algorithm
    }
}

/// The usable keys of an issuer, by `kid`.
struct KeySet: Sendable {
    /// More keys than this are not looked at.
    static let mostKeys = 100

    private var keys: [String: VerificationKey] = [:]
    /// The `kid`s with what was read of each, to tell whether another set is the same.
    private var source: [JSONValue] = []

    var isEmpty: Bool { keys.isEmpty }

    /// Reads a JWK Set (RFC 7517 §5), passing over keys that are not to be used; nil where the text is none.
    init?(json: [UInt8], allowed: [VerificationKey.Algorithm]) async {
        guard let value = try? DriveJSON.plainDecoder().decode(JSONValue.self, from: Data(json)), case .array(let list)? = value["keys"]
        else {
            return nil
        }
        for jwk in list.prefix(Self.mostKeys) {
            let id = jwk["kid"]?.string ?? ""
            guard keys[id] == nil, let key = await VerificationKey(jwk: jwk, allowed: allowed) else { continue }
            keys[id] = key
            source.append(jwk)
        }
    }

    /// The key of that name. A token without `kid` gets the only key there is, and none where there are several.
    func key(_ id: String?) -> VerificationKey? {
        if let id { return keys[id] }
        return keys.count == 1 ? keys.first?.value : nil
    }

    func hasSameKeys(as other: KeySet) -> Bool { source == other.source }
}
