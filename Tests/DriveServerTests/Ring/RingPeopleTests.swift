import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveServer

/// Whom other programs mean, and how people are called to them.
@Suite struct RingPeopleTests {
    private struct Site {
        let people: RingPeople
        let database: any Database

        func account(_ issuer: String, _ subject: String, isDisabled: Bool = false) async throws -> UUID {
            let id = UUID()
            let now = Surroundings.system.now()
            _ = try await database.write { sql in
                try sql.execute(
                    """
                    INSERT INTO accounts (id, issuer, subject, name, role, created_at, disabled_at) VALUES ($1, $2, $3, $3, 'user', $4, $5)
                    """, [.uuid(id), .text(issuer), .text(subject), .timestamp(now), .timestamp(isDisabled ? now : nil)])
            }
            return id
        }
    }

    private func with(_ engine: Engine, _ body: (Site) async throws -> Void) async throws {
        try await engine.with { try await body(Site(people: RingPeople(database: $0), database: $0)) }
    }

    @Test(arguments: Engine.underTest) func aPersonIsFoundByTheNameThatIsTold(_ engine: Engine) async throws {
        try await with(engine) { site in
            let local = try await site.account(TokenIssuer.issuer, "anna")
            let external = try await site.account("https://issuer.example", "ben's \"own\", id")
            for id in [local, external] {
                let name = try #require(try await site.people.name(of: id))
                #expect(try await site.people.accounts(named: [name, "nobody"]) == [name: id])
            }
            #expect(try await site.people.name(of: local) == local.lowercaseString)
            #expect(try await site.people.accounts(named: ["anna"]).isEmpty, "a local account's subject is no name of it")
            #expect(try await site.people.accounts(named: []).isEmpty)
        }
    }

    /// Each is in the answer.
    @Test(arguments: Engine.underTest) func anIdIsTheSameInEverySpelling(_ engine: Engine) async throws {
        try await with(engine) { site in
            let id = try await site.account(TokenIssuer.issuer, "anna")
            let names = [id.lowercaseString, id.uuidString]
            #expect(try await site.people.accounts(named: Set(names)) == [names[0]: id, names[1]: id])
        }
    }

    /// Also where one of the two is disabled: what is meant for it is not for the other.
    @Test(arguments: Engine.underTest) func whomTwoIssuersKnowIsNobody(_ engine: Engine) async throws {
        try await with(engine) { site in
            _ = try await site.account("https://one.example", "42")
            _ = try await site.account("https://two.example", "42")
            _ = try await site.account("https://one.example", "43", isDisabled: true)
            _ = try await site.account("https://two.example", "43")
            let gone = try await site.account("https://one.example", "44", isDisabled: true)
            #expect(try await site.people.accounts(named: ["42", "43", "44", gone.lowercaseString]).isEmpty)
            #expect(try await site.people.name(of: gone) == nil)
        }
    }
}
