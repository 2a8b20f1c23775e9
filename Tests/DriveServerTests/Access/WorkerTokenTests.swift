import DriveModel
import Foundation
import Testing

@testable import DriveServer

/// Tokens that are good for `/tasks/work` alone.
@Suite struct WorkerTokenTests {
    private func issue(
        _ grant: WorkerGrant, for account: Account, in access: AccessFixture, name: String = "worker"
    ) async throws(DriveError) -> IssuedToken {
        try await access.issuer.issueWorkerToken(accountId: account.id, name: name, grant: grant, lifetime: .seconds(3600), by: .system)
    }

    @Test func itStandsForItsKindsAndNoRole() async throws {
        try await withAccess { access in
            let (account, _) = try await access.accountToken(role: .admin)
            for grant in [
                WorkerGrant(kinds: []), WorkerGrant(kinds: ["resize", "ocr"]), WorkerGrant(kinds: ["ocr"], allAccounts: true),
            ] {
                let issued = try await issue(grant, for: account, in: access)
                let identity = try await access.verifier.verify(issued.token)
                #expect(
                    identity
                        == Identity(
                            accountId: account.id, role: .user, tokenId: issued.record.id, kind: .worker(grant), name: "alice",
                            goodUntil: identity.goodUntil))
            }
            #expect(try await Set(access.directory.tokens(of: account.id).map(\.role)) == [.admin, .worker])
            let entries = try await access.audit.listing(in: access.database, action: "token.create")
            #expect(entries.contains { $0.entry.details["kinds"] == ["ocr"] && $0.entry.details["allAccounts"] == true })
        }
    }

    @Test func kindsBeyondItsOwnAreNotPermitted() {
        #expect(WorkerGrant(kinds: []).permits(["anything"]))
        #expect(WorkerGrant(kinds: ["a", "b"]).permits(["b"]))
        #expect(!WorkerGrant(kinds: ["a", "b"]).permits(["b", "c"]))
        #expect(!WorkerGrant(kinds: ["a"]).permits(["A"]))
    }

    @Test func revocationAndExpiryHold() async throws {
        try await withAccess { access in
            let (account, own) = try await access.accountToken()
            let issued = try await issue(WorkerGrant(kinds: []), for: account, in: access)
            #expect(await access.refusal(issued.token) == nil)
            try await access.directory.revokeToken(issued.record.id, by: .system)
            #expect(await access.refusal(issued.token)?.code == .tokenRevoked)
            #expect(await access.refusal(own.token) == nil, "the account's own token is not touched")
            let another = try await issue(WorkerGrant(kinds: []), for: account, in: access)
            try await access.directory.revokeAllTokens(of: account.id, by: .system)
            #expect(await access.refusal(another.token)?.code == .tokenRevoked)
            let third = try await issue(WorkerGrant(kinds: []), for: account, in: access)
            _ = try await access.directory.setDisabled(true, account: account.id, by: .system)
            #expect(await access.refusal(third.token)?.code == .accountDisabled)
            _ = try await access.directory.setDisabled(false, account: account.id, by: .system)
            access.time.advance(by: .seconds(3600 + 30))
            #expect(await access.refusal(third.token) == TokenFault.expired.error)
        }
    }

    @Test func allAccountsAreForAdministratorsWhileTheyAreOne() async throws {
        try await withAccess { access in
            let (user, _) = try await access.accountToken()
            let refusal = await #expect(throws: DriveError.self) {
                _ = try await issue(WorkerGrant(kinds: [], allAccounts: true), for: user, in: access)
            }
            #expect(refusal?.code == .forbidden)
            #expect(try await access.directory.tokens(of: user.id).count == 1, "a refused token leaves no record")
            let (admin, _) = try await access.accountToken(role: .admin, name: "root")
            let issued = try await issue(WorkerGrant(kinds: ["a"], allAccounts: true), for: admin, in: access)
            #expect(try await access.verifier.verify(issued.token).kind == .worker(WorkerGrant(kinds: ["a"], allAccounts: true)))
            _ = try await access.directory.setRole(.user, account: admin.id, by: .system)
            #expect(try await access.verifier.verify(issued.token).kind == .worker(WorkerGrant(kinds: ["a"])))
        }
    }

    /// The record says what a token is, whatever a token of the same id claims.
    @Test func aWorkersRecordMakesNoAccountToken() async throws {
        try await withAccess { access in
            let (account, _) = try await access.accountToken()
            let issued = try await issue(WorkerGrant(kinds: []), for: account, in: access)
            let now = access.time.now.seconds
            let token = try Forge.token(
                header: ["alg": "HS256", "kid": .string(access.key.id), "typ": "JWT"],
                claims: [
                    "iss": "drive", "aud": "drive", "sub": .string(account.id.uuidString), "jti": .string(issued.record.id), "role": "user",
                    "iat": .integer(now), "exp": .integer(now + 60),
                ]
            ) { access.key.sign($0) }
            #expect(await access.refusal(token) == TokenFault.unknownToken.error)
        }
    }

    static let unfitKinds: [[String]] = [
        [""], [" a"], ["a\n"], ["a", "\u{0}"], [String(repeating: "x", count: 101)], (0..<26).map { "k\($0)" },
    ]

    @Test(arguments: unfitKinds) func kindsAreChecked(_ kinds: [String]) async throws {
        try await withAccess { access in
            let (account, _) = try await access.accountToken()
            let refusal = await #expect(throws: DriveError.self) {
                _ = try await issue(WorkerGrant(kinds: kinds), for: account, in: access)
            }
            #expect(refusal?.code == .invalidRequest)
        }
    }

    /// As many and as long kinds as are allowed make a token that is read.
    @Test func theLargestGrantFitsIntoAToken() async throws {
        try await withAccess { access in
            let (account, _) = try await access.accountToken()
            let kinds = (0..<25).map { String(repeating: "k", count: 62) + ($0 < 10 ? "0\($0)" : "\($0)") }
            let issued = try await issue(WorkerGrant(kinds: kinds), for: account, in: access)
            #expect(try await access.verifier.verify(issued.token).kind == .worker(WorkerGrant(kinds: kinds)))
        }
    }

    @Test(arguments: ["drive-upload", "drive-worker"]) func theirAudienceIsNoAccounts(_ audience: String) async throws {
        try await withAccess { access in
            var settings = DriveConfiguration.Access()
            settings.tokenAudience = audience
            await #expect(throws: SecretError.self) {
                _ = try await TokenVerifier(
                    signingKey: access.key, settings: settings, directory: access.directory, fetcher: access.fetcher)
            }
        }
    }
}
