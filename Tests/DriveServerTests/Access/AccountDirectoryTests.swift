import DriveDatabase
import DriveModel
import Foundation
import JWTKit
import Testing

@testable import DriveServer

@Suite struct AccountDirectoryTests {
    @Test func manyFirstSightsMakeOneAccount() async throws {
        try await withAccess { access in
            let others = (0..<4).map { _ in access.directoryOfAnotherProcess() }
            let ids = try await withThrowingTaskGroup(of: UUID.self) { group in
                for index in 0..<64 {
                    group.addTask {
                        try await others[index % 4].externalAccount(issuer: "idp", subject: "dave", name: "Dave", role: .user)
                    }
                }
                return try await group.reduce(into: Set<UUID>()) { $0.insert($1) }
            }
            #expect(ids.count == 1)
            #expect(try await access.directory.accounts().map(\.subject) == ["dave"])
            #expect(try await access.audit.listing(in: access.database, action: "account.create").count == 1)
            let other = try await others[0].externalAccount(issuer: "another", subject: "dave", name: "Dave", role: .user)
            #expect(!ids.contains(other), "another issuer's subject is another account")
        }
    }

    @Test func roleOfAnExternalAccountFollowsItsToken() async throws {
        let key = ES256PrivateKey()
        func issuer(_ name: String, roleClaim: String?) -> DriveConfiguration.Issuer {
            .init(
                issuer: name, audience: "drive", keys: .pem(text: key.publicKey.pemRepresentation), algorithms: [.es256],
                roleClaim: roleClaim)
        }
        let issuers = [
            issuer("plain", roleClaim: nil), issuer("flat", roleClaim: "https://x.example/role"), issuer("deep", roleClaim: "access.roles"),
        ]
        let cases: [(String, Forge.Fields, AccountRole)] = [
            ("plain", ["role": "admin", "roles": ["admin"]], .user),
            ("flat", [:], .user),
            ("flat", ["https://x.example/role": "admin"], .admin),
            ("flat", ["https://x.example/role": "Admin"], .user),
            ("flat", ["https://x.example/role": ["user", "admin"]], .admin),
            ("deep", ["access": ["roles": ["admin"]]], .admin),
            ("deep", ["access": "admin"], .user),
        ]
        try await withAccess(issuers: issuers) { access in
            let sign = Forge.signer(try await JWTKeyCollection().add(ecdsa: key).getKey())
            for (name, extra, role) in cases {
                let base: Forge.Fields = [
                    "iss": .string(name), "aud": "drive", "sub": "erin", "name": "Erin", "exp": .integer(access.time.now.seconds + 60),
                ]
                let token = try Forge.token(header: ["alg": "ES256"], claims: base.merging(extra) { $1 }, sign: sign)
                let identity = try await access.verifier.verify(token)
                #expect(identity.role == role, "\(name) \(extra)")
                #expect(identity.name == "Erin")
                #expect(try await access.directory.account(id: identity.accountId)?.role == role)
            }
            #expect(try await access.directory.accounts().count == 3)
        }
    }

    @Test func revocationByAnotherProcessHoldsWithinASecond() async throws {
        try await withAccess { access in
            let (account, issued) = try await access.accountToken()
            #expect(await access.refusal(issued.token) == nil)
            try await access.directoryOfAnotherProcess().revokeToken(issued.record.id, by: .system)
            access.time.advance(by: .milliseconds(499))
            #expect(await access.refusal(issued.token) == nil, "an answer under half a second old is used")
            access.time.advance(by: .milliseconds(1))
            #expect(await access.refusal(issued.token)?.code == .tokenRevoked)
            let another = try await access.issuer.issueAccountToken(
                accountId: account.id, name: "phone", role: .user, lifetime: .seconds(60), by: .system)
            #expect(await access.refusal(another.token) == nil, "the other token is not touched")
        }
    }

    @Test func disablingHoldsForEveryKindOfTokenAndEnds() async throws {
        try await withAccess { access in
            let (account, issued) = try await access.accountToken()
            let session = try access.issuer.uploadSessionToken(
                accountId: account.id, taskId: "t", serial: 0, expiresAt: access.time.now + .seconds(600))
            let other = access.directoryOfAnotherProcess()
            for token in [issued.token, session] { #expect(await access.refusal(token) == nil) }
            _ = try await other.setDisabled(true, account: account.id, by: .system)
            access.time.advance(by: .milliseconds(500))
            for token in [issued.token, session] { #expect(await access.refusal(token)?.code == .accountDisabled) }
            _ = try await other.setDisabled(false, account: account.id, by: .system)
            access.time.advance(by: .milliseconds(500))
            for token in [issued.token, session] { #expect(await access.refusal(token) == nil) }
        }
    }

    @Test func ownChangesHoldAtOnce() async throws {
        try await withAccess { access in
            let (account, issued) = try await access.accountToken(role: .admin)
            #expect(try await access.verifier.verify(issued.token).role == .admin)
            _ = try await access.directory.setRole(.user, account: account.id, by: .system)
            #expect(try await access.verifier.verify(issued.token).role == .user, "its tokens fall with the account's role")
            #expect(try await access.directory.revokeAllTokens(of: account.id, by: .system) == 1)
            #expect(await access.refusal(issued.token)?.code == .tokenRevoked)
        }
    }

    @Test func repeatedTokensShareQueries() async throws {
        try await withAccess { access in
            let (_, issued) = try await access.accountToken()
            let before = access.database.reads
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<200 { group.addTask { #expect(await access.refusal(issued.token) == nil) } }
            }
            #expect(access.database.reads - before == 1)
        }
    }

    @Test func aDatabaseThatFailsIsNeverAYes() async throws {
        try await withAccess { access in
            let (_, issued) = try await access.accountToken()
            #expect(await access.refusal(issued.token) == nil)
            access.database.become(.failing)
            access.time.advance(by: .milliseconds(500))
            #expect(await access.refusal(issued.token)?.code == .databaseUnavailable)
            access.database.become(.well)
            #expect(await access.refusal(issued.token) == nil, "a failure is not kept")
        }
    }

    @Test func aDatabaseThatIsSilentIsUnavailable() async throws {
        try await withAccess(patience: .milliseconds(50)) { access in
            let (_, issued) = try await access.accountToken()
            let release = Flight<Void>(startedAt: .zero)
            defer { release.complete(.success(())) }
            access.database.become(.slow(read: Flight<Void>(startedAt: .zero), release: release))
            let reads = access.database.reads
            for _ in 0..<5 { #expect(await access.refusal(issued.token)?.code == .databaseUnavailable) }
            #expect(access.database.reads - reads == 1, "one query hangs, not one per request")
        }
    }

    @Test func nobodyGetsAnAnswerReadLongBeforeHeCame() async throws {
        try await withAccess { access in
            let (_, issued) = try await access.accountToken()
            let read = Flight<Void>(startedAt: .zero)
            let release = Flight<Void>(startedAt: .zero)
            access.database.become(.slow(read: read, release: release))
            async let first = access.refusal(issued.token)
            try await read.wait()
            access.database.become(.well)
            try await access.directoryOfAnotherProcess().revokeToken(issued.record.id, by: .system)
            access.time.advance(by: .milliseconds(500))
            async let second = access.refusal(issued.token)
            // Lets the second caller find the query of the first one; the result is the same where it comes later.
            for _ in 0..<1000 { await Task.yield() }
            release.complete(.success(()))
            #expect(await first == nil, "it came before the revocation")
            #expect(await second?.code == .tokenRevoked)
        }
    }

    @Test func administration() async throws {
        try await withAccess { access in
            let directory = access.directory
            let admin = AuditActor(accountId: UUID(), address: "127.0.0.1", requestId: "r1")
            let account = try await directory.createAccount(name: "alice", role: .user, by: admin)
            #expect(try await directory.account(named: "alice") == account)
            #expect(try await directory.account(named: "bob") == nil)
            await #expect(throws: DriveError.self) { try await directory.createAccount(name: "alice", role: .user, by: admin) }
            for name in ["", " a", "a\n", "a\u{0}b", String(repeating: "x", count: 201)] {
                await #expect(throws: DriveError.self) { try await directory.createAccount(name: name, role: .user, by: admin) }
            }
            #expect(try await directory.setQuota(1 << 40, account: account.id, by: admin).quotaBytes == 1 << 40)
            #expect(try await directory.setQuota(nil, account: account.id, by: admin).quotaBytes == nil)
            await #expect(throws: DriveError.self) { try await directory.setQuota(-2, account: account.id, by: admin) }
            await #expect(throws: DriveError.self) { try await directory.setQuota(1, account: UUID(), by: admin) }
            await #expect(throws: DriveError.self) {
                try await access.issuer.issueAccountToken(
                    accountId: account.id, name: "t", role: .admin, lifetime: .seconds(60), by: admin)
            }
            let token = try await access.issuer.issueAccountToken(
                accountId: account.id, name: "t", role: .user, lifetime: .seconds(60), by: admin)
            #expect(try await directory.tokens(of: account.id) == [token.record])
            await #expect(throws: DriveError.self) { try await directory.revokeToken(token.record.id, owner: UUID(), by: admin) }
            try await directory.revokeToken(token.record.id, owner: account.id, by: admin)
            try await directory.revokeToken(token.record.id, by: admin)
            #expect(try await directory.tokens(of: account.id).first?.revokedAt == access.time.now)
            let actions = try await access.audit.listing(in: access.database, accountId: admin.accountId).map(\.entry.action)
            #expect(actions.sorted() == ["account.create", "account.quota", "account.quota", "token.create", "token.revoke"])
        }
    }

    @Test func auditEntriesShareTheFateOfTheirChange() async throws {
        try await withAccess { access in
            let entry = AuditEntry(action: "pool.edit", objectType: "pool", objectId: "p", details: ["n": 1])
            await #expect(throws: DriveError.self) {
                try await access.audit.write(to: access.database) { sql, trail in
                    try trail.append(entry, in: sql)
                    throw DriveError(.conflict, "no")
                }
            }
            #expect(try await access.audit.listing(in: access.database).isEmpty)
            for index in 0..<5 {
                var numbered = entry
                numbered.objectId = "\(index)"
                try await access.audit.write(to: access.database) { [numbered] sql, trail in try trail.append(numbered, in: sql) }
                if index % 2 == 0 { access.time.advance(by: .seconds(1)) }
            }
            var seen: [AuditRecord] = []
            while true {
                let page = try await access.audit.listing(in: access.database, after: seen.last, limit: 2)
                if page.isEmpty { break }
                seen += page
            }
            #expect(Set(seen.compactMap(\.entry.objectId)) == ["0", "1", "2", "3", "4"])
            #expect(seen.count == 5)
            #expect(seen.first?.entry.details == ["n": 1])
            #expect(zip(seen, seen.dropFirst()).allSatisfy { $0.at >= $1.at })
        }
    }
}
