import DriveModel
import Foundation
import Logging

/// Verifies tokens: our own, and those of the external issuers an operator configured.
///
/// A token that was verified before costs a digest and two dictionary look-ups, and each half second a row.
package struct TokenVerifier: Sendable {
    private struct Issuer: Sendable {
        enum Keys: Sendable {
            case fixed(VerificationKey)
            case remote(RemoteKeySet)
        }

        var audience: String
        var roleClaim: String?
        var keys: Keys
    }

    private let signingKey: SigningKey
    private let audience: String
    private let leeway: Duration
    private let issuers: [String: Issuer]
    private let directory: AccountDirectory
    private let surroundings: Surroundings
    private let cache: VerifiedTokenCache

    /// Reads the PEM files of the issuers, so it blocks: call it at start.
    ///
    /// Throws a `SecretError` for a key that is not to be used, or a setting that would let one token pass for another.
    package init(
        signingKey: SigningKey, settings: DriveConfiguration.Access, directory: AccountDirectory, fetcher: any KeySetFetcher,
        surroundings: Surroundings = .system, time: MonotonicTime = .system, cachedTokens: Int = 10_000,
        logger: Logger = Logger(label: "Drive.Access")
    ) async throws {
        guard ![TokenIssuer.uploadAudience, TokenIssuer.workerAudience].contains(settings.tokenAudience) else {
            throw SecretError(message: "the audience \(settings.tokenAudience) is that of upload sessions or workers: choose another")
        }
        var issuers: [String: Issuer] = [:]
        for issuer in settings.issuers {
            guard issuer.issuer != TokenIssuer.issuer else {
                throw SecretError(message: "the issuer name \(TokenIssuer.issuer) is our own: an external issuer needs another")
            }
            issuers[issuer.issuer] = Issuer(
                audience: issuer.audience, roleClaim: issuer.roleClaim,
                keys: try await Self.keys(of: issuer, settings: settings, fetcher: fetcher, time: time, logger: logger))
        }
        self.signingKey = signingKey
        self.audience = settings.tokenAudience
        self.leeway = settings.clockLeeway
        self.issuers = issuers
        self.directory = directory
        self.surroundings = surroundings
        self.cache = VerifiedTokenCache(capacity: cachedTokens)
    }

    /// Who the token stands for.
    ///
    /// Throws `unauthenticated` with the rule that refused, `tokenRevoked`, `accountDisabled`, or an `unavailable` code where the
    /// database or the issuer's keys cannot be asked.
    package func verify(_ token: String) async throws(DriveError) -> Identity {
        let bytes = Array(token.utf8)
        guard bytes.count <= CompactToken.longest else { throw TokenFault.tooLong.error }
        let digest = TokenDigest(bytes)
        if let known = cache.token(digest, at: surroundings.now()) { return try await directory.identity(of: known) }
        let verified = try await verify(CompactToken(bytes))
        cache.insert(verified, for: digest)
        return try await directory.identity(of: verified)
    }

    private func verify(_ token: CompactToken) async throws(DriveError) -> VerifiedToken {
        // The issuer is only claimed here; it chooses the keys that must bear it out.
        guard let name = token.claims.text("iss") else { throw TokenFault.unknownIssuer.error }
        if name == TokenIssuer.issuer { return try verifyOwn(token) }
        guard let issuer = issuers[name] else { throw TokenFault.unknownIssuer.error }
        return try await verify(token, of: issuer, name: name)
    }

    private func verifyOwn(_ token: CompactToken) throws(DriveError) -> VerifiedToken {
        guard token.keyId == signingKey.id else { throw TokenFault.unknownKey.error }
        guard token.algorithm == "HS256" else { throw TokenFault.wrongAlgorithm.error }
        guard signingKey.isValid(token.signature, for: token.signed) else { throw TokenFault.badSignature.error }
        let goodUntil = try checkTimes(token.claims)
        guard let subject = token.claims.text("sub"), let account = UUID(uuidString: subject) else { throw TokenFault.incomplete.error }
        // The audience tells the kinds apart, so a token has exactly one.
        switch token.claims.audiences {
        case [audience]:
            guard let id = token.claims.text("jti"), let role = token.claims.text("role").flatMap(AccountRole.init(rawValue:)) else {
                throw TokenFault.incomplete.error
            }
            return VerifiedToken(accountId: account, subject: .account(tokenId: id, role: role), goodUntil: goodUntil)
        case [TokenIssuer.uploadAudience]:
            guard let task = token.claims.text("task"), let serial = token.claims.fields["serial"]?.integer,
                let serial = Int(exactly: serial)
            else { throw TokenFault.incomplete.error }
            return VerifiedToken(accountId: account, subject: .upload(taskId: task, serial: serial), goodUntil: goodUntil)
        case [TokenIssuer.workerAudience]:
            guard let id = token.claims.text("jti"), let grant = WorkerGrant(claims: token.claims) else {
                throw TokenFault.incomplete.error
            }
            return VerifiedToken(accountId: account, subject: .worker(tokenId: id, grant), goodUntil: goodUntil)
        default:
            throw TokenFault.wrongAudience.error
        }
    }

    private func verify(_ token: CompactToken, of issuer: Issuer, name: String) async throws(DriveError) -> VerifiedToken {
        let key: VerificationKey
        var keys: (set: RemoteKeySet, generation: Int)?
        switch issuer.keys {
        case .fixed(let only):
            key = only
        case .remote(let set):
            let (found, generation) = try await set.key(token.keyId)
            key = found
            keys = (set, generation)
        }
        guard token.algorithm == key.algorithm.rawValue else { throw TokenFault.wrongAlgorithm.error }
        guard key.isValid(token.signature, for: token.signed) else { throw TokenFault.badSignature.error }
        guard token.claims.audiences.contains(issuer.audience) else { throw TokenFault.wrongAudience.error }
        let goodUntil = try checkTimes(token.claims)
        // OpenID Connect Core §2: a subject has 255 characters at most.
        guard let subject = token.claims.text("sub"), !subject.isEmpty, subject.utf8.count <= 255,
            !subject.utf8.contains(0)
        else { throw TokenFault.incomplete.error }
        let isAdministrator = issuer.roleClaim.map { token.claims.holds(AccountRole.admin.rawValue, in: $0) } ?? false
        let role: AccountRole = isAdministrator ? .admin : .user
        let account = try await directory.externalAccount(
            issuer: name, subject: subject, name: AccountRules.name(from: token.claims, otherwise: subject), role: role)
        return VerifiedToken(accountId: account, subject: .external(role: role), goodUntil: goodUntil, keys: keys)
    }

    /// Checks `exp`, `nbf` and `iat` (RFC 7519 §4.1.4 to §4.1.6) and returns until when the token is good.
    private func checkTimes(_ claims: TokenClaims) throws(DriveError) -> Timestamp {
        let now = surroundings.now()
        guard let expiry = try claims.date("exp") else { throw TokenFault.noExpiry.error }
        guard now < expiry + leeway else { throw TokenFault.expired.error }
        if let start = try claims.date("nbf"), start > now + leeway { throw TokenFault.notYetValid.error }
        if let issued = try claims.date("iat"), issued > now + leeway { throw TokenFault.issuedInFuture.error }
        return expiry + leeway
    }

    private static func keys(
        of issuer: DriveConfiguration.Issuer, settings: DriveConfiguration.Access, fetcher: any KeySetFetcher, time: MonotonicTime,
        logger: Logger
    ) async throws -> Issuer.Keys {
        let pem: String
        var place = ""
        switch issuer.keys {
        case .jwks(let url):
            guard isSafe(url) else {
                throw SecretError(message: "\(url): keys are fetched by https, or by http from this machine alone")
            }
            return .remote(
                RemoteKeySet(
                    url: url, algorithms: issuer.algorithms, fetcher: fetcher,
                    timing: RemoteKeySet.Timing(refetchInterval: settings.keyRefetchInterval), time: time, logger: logger))
        case .pem(let text): pem = text
        case .pemFile(let path):
            guard let data = FileManager.default.contents(atPath: path) else {
                throw SecretError(message: "the key of issuer \(issuer.issuer) cannot be read: \(path)")
            }
            pem = String(decoding: data, as: UTF8.self)
            place = " in \(path)"
        }
        guard issuer.algorithms.count == 1, let algorithm = issuer.algorithms.first else {
            throw SecretError(message: "issuer \(issuer.issuer): a PEM key has exactly one algorithm")
        }
        do {
            return .fixed(try await VerificationKey(pem: pem, algorithm: algorithm))
        } catch {
            throw SecretError(message: "the key of issuer \(issuer.issuer)\(place) cannot be used: \(error)")
        }
    }

    private static func isSafe(_ url: String) -> Bool {
        guard let parts = URLComponents(string: url), let host = parts.host, !host.isEmpty, parts.user == nil else { return false }
        switch parts.scheme?.lowercased() {
        case "https": return true
        case "http": return ["localhost", "127.0.0.1", "[::1]", "::1"].contains(host)
        default: return false
        }
    }
}
