import DriveModel
import DriveTasks
import Foundation

/// What a worker token lets its holder lease.
package struct WorkerGrant: Sendable, Hashable {
    static let mostKinds = TaskRequestRules.mostKinds
    /// The claim `scope` of a token for all accounts.
    static let allScope = "all"

    /// The kinds of Custom tasks; empty: all kinds.
    package var kinds: [String]
    /// Every account's tasks, while the token's account is an administrator's; else those of its own account alone.
    package var allAccounts: Bool

    package init(kinds: [String], allAccounts: Bool = false) {
        self.kinds = kinds
        self.allAccounts = allAccounts
    }

    /// Whether tasks of all these kinds may be leased.
    func permits(_ asked: [String]) -> Bool {
        kinds.isEmpty || asked.allSatisfy(kinds.contains)
    }

    /// Throws `invalidRequest` for a kind that no task can have, or for more kinds than a token should carry.
    func check() throws(DriveError) {
        guard kinds.count <= Self.mostKinds else {
            throw DriveError(.invalidRequest, "A worker token names at most \(Self.mostKinds) kinds.", details: ["rule": "kinds"])
        }
        for kind in kinds { try TaskRequestRules.checkKind(kind) }
    }

    /// Reads the claims `kinds` and `scope`; nil where they have a wrong form.
    init?(claims: TokenClaims) {
        guard case .array(let list)? = claims.fields["kinds"], case let kinds = list.compactMap(\.string), kinds.count == list.count,
            [nil, .string(Self.allScope)].contains(claims.fields["scope"])
        else { return nil }
        self.init(kinds: kinds, allAccounts: claims.fields["scope"] != nil)
    }
}
