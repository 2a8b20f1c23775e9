import Crypto
import DriveModel
import Foundation
import Synchronization

/// What a token says, after its signature and its times were checked.
struct VerifiedToken: Sendable {
    enum Subject: Sendable {
        /// One of our account tokens, `api_tokens.id`, with the role in it.
        case account(tokenId: String, role: AccountRole)
        /// One of our upload session tokens.
        case upload(taskId: String, serial: Int)
        /// One of our worker tokens, `api_tokens.id`.
        case worker(tokenId: String, WorkerGrant)
        /// A token of an external issuer, with the role it gives.
        case external(role: AccountRole)
    }

    var accountId: UUID
    var subject: Subject
    /// No longer good from here on; the leeway is in it.
    var goodUntil: Timestamp
    /// The external keys it was verified with.
    var keys: (set: RemoteKeySet, generation: Int)?
}

/// SHA-256 of a token: the token itself is kept nowhere.
struct TokenDigest: Hashable, Sendable {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    init(_ token: [UInt8]) {
        words = SHA256.hash(data: token).withUnsafeBytes { bytes in
            func word(_ index: Int) -> UInt64 { bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self) }
            return (word(0), word(1), word(2), word(3))
        }
    }

    static func == (left: TokenDigest, right: TokenDigest) -> Bool { left.words == right.words }
    func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

/// Tokens verified lately. Refused ones are not kept, so that nobody fills it with garbage.
final class VerifiedTokenCache: Sendable {
    private let tokens: Mutex<LRUCache<TokenDigest, VerifiedToken>>

    init(capacity: Int) {
        tokens = Mutex(LRUCache(capacity: capacity))
    }

    /// The token, where it is known and neither its time nor its key's is over.
    func token(_ digest: TokenDigest, at now: Timestamp) -> VerifiedToken? {
        guard let token = tokens.withLock({ $0.value(for: digest) }) else { return nil }
        guard now < token.goodUntil, token.keys.map({ $0.set.isCurrent($0.generation) }) ?? true else {
            tokens.withLock { $0.removeValue(for: digest) }
            return nil
        }
        return token
    }

    func insert(_ token: VerifiedToken, for digest: TokenDigest) {
        tokens.withLock { $0.insert(token, for: digest) }
    }
}
