import DriveModel
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore

/// Who a request's or a message's token stands for, with the limits on guessing one.
enum SignIn {
    /// The token of a request: of the field `Authorization`, or of the query where browsers can say it nowhere else.
    static func token(fields: HTTPFields, uri: URI, isInQuery: Bool) -> String? {
        if let value = fields[.authorization] {
            guard value.prefix(7).lowercased() == "bearer " else { return nil }
            return String(value.dropFirst(7).drop { $0 == " " })
        }
        guard isInQuery else { return nil }
        return uri.queryParameters["token"].map(String.init)
    }

    /// Throws `RATE_LIMITED` for an address that guesses or an account that asks too much, and what the verifier refuses.
    ///
    /// - Parameter isCounted: the account's request was counted already.
    static func identity(
        of token: String, from address: AddressKey, isCounted: Bool = false, services: Services
    ) async throws(DriveError) -> Identity {
        try allow(services.limiter.checkSignIn(address: address), rule: "failedSignIns")
        let identity: Identity
        do {
            identity = try await services.verifier.verify(token)
        } catch {
            // One of ours that has run out is no guess at a token: clients with many uploads send it once for each.
            let isGuess = error.code.category == .unauthenticated && error != TokenFault.expired.error
            if isGuess { services.limiter.recordFailedSignIn(address: address) }
            throw error
        }
        if !isCounted { try allow(services.limiter.check(account: identity.accountId), rule: "account") }
        return identity
    }

    static func allow(_ decision: RateDecision, rule: String) throws(DriveError) {
        if case .limited(let seconds) = decision {
            let what = rule == "failedSignIns" ? "Too many bad tokens came from this address" : "Too many requests"
            throw DriveError(
                .rateLimited, "\(what); try again in \(seconds) s.", details: ["rule": .string(rule)], retryAfter: Int(seconds))
        }
    }
}
