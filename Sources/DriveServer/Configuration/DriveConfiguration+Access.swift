extension DriveConfiguration {
    /// Who may come in, and with what.
    package struct Access: Sendable, Equatable {
        package var issuers: [Issuer] = []
        /// The life of a token made by `drive token create` without `--ttl`.
        package var tokenTTL: Duration = .seconds(30 * 86_400)
        /// The `aud` of our own tokens.
        package var tokenAudience = "drive"
        /// The key that seals stored secrets; nil: from ``masterKeyFile``, or generated in the data folder.
        package var masterKey: Secret?
        package var masterKeyFile: String?
        /// The tolerance for `exp` and `nbf` (RFC 7519 §4.1.4, §4.1.5).
        package var clockLeeway: Duration = .seconds(30)
        /// The least time between two fetches of an issuer's JWK Set.
        package var keyRefetchInterval: Duration = .seconds(30)
    }

    /// An external issuer of tokens, with its keys and the algorithms they may be used with.
    package struct Issuer: Sendable, Equatable {
        /// The `iss` claim, compared exactly (RFC 7519 §4.1.1).
        package var issuer: String
        /// The `aud` claim that a token must hold.
        package var audience: String
        package var keys: KeySource
        /// The only algorithms accepted from this issuer; never empty (RFC 8725 §3.1).
        package var algorithms: [SignatureAlgorithm]
        /// The claim that holds the caller's role; nil: no role is taken from the token.
        package var roleClaim: String?

        package init(
            issuer: String, audience: String, keys: KeySource, algorithms: [SignatureAlgorithm], roleClaim: String? = nil
        ) {
            self.issuer = issuer
            self.audience = audience
            self.keys = keys
            self.algorithms = algorithms
            self.roleClaim = roleClaim
        }
    }

    /// Where an issuer's public keys come from.
    package enum KeySource: Sendable, Equatable {
        /// A JWK Set (RFC 7517 §5) at this address.
        case jwks(url: String)
        case pemFile(path: String)
        case pem(text: String)
    }

    /// The signature algorithms accepted from external issuers (RFC 7518 §3.1, RFC 8037 §3.1).
    package enum SignatureAlgorithm: String, Sendable, Equatable, CaseIterable {
        case rs256 = "RS256"
        case es256 = "ES256"
        case edDSA = "EdDSA"
    }

    /// How many requests are answered; 0 in any field turns that limit off.
    package struct RateLimits: Sendable, Equatable {
        package var account = Bucket()
        package var address = Bucket()
        /// Failed sign-ins per minute from one address.
        package var failedSignInsPerMinute = 30

        /// A token bucket.
        package struct Bucket: Sendable, Equatable {
            package var requestsPerSecond = 10_000
            package var burst = 20_000
        }
    }
}
