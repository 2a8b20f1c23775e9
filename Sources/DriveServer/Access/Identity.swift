import DriveModel
import Foundation

/// Who calls, as a verified token says it.
package struct Identity: Sendable, Hashable {
    /// What the token is good for.
    package enum Kind: Sendable, Hashable {
        /// Everything the account may do.
        case account
        /// One upload alone, while `serial` is the one in the upload's row.
        case uploadSession(taskId: String, serial: Int)
        /// Leasing and reporting tasks (`/tasks/work`) alone.
        case worker(WorkerGrant)
    }

    package var accountId: UUID
    /// The role that holds for this call; an upload session's and a worker's is a user's, whoever began it.
    package var role: AccountRole
    /// `api_tokens.id` of a token of our own.
    package var tokenId: String?
    package var kind: Kind
    /// The account's name, for people.
    package var name: String
    /// When the token runs out.
    package var goodUntil: Timestamp

    package init(accountId: UUID, role: AccountRole, tokenId: String?, kind: Kind, name: String, goodUntil: Timestamp) {
        self.accountId = accountId
        self.role = role
        self.tokenId = tokenId
        self.kind = kind
        self.name = name
        self.goodUntil = goodUntil
    }
}
