import DriveDatabase
import DriveEvents
import DriveModel
import DriveRing
import EngineTestSupport
import Foundation
import Logging
import Testing

@testable import DriveServer

/// What becomes of a call that fails inside.
@Suite struct RingDeskTests {
    private let log = LogRecorder()
    private let caller = RingCaller(address: "192.0.2.7")
    private let device = UUID().lowercaseString

    private func desk(_ database: any Database) -> RingDesk {
        let seal = SecretSeal(masterKey: [UInt8](repeating: 1, count: 32), keyId: "k", purpose: "test", surroundings: .system)
        let directory = RingDirectory(database: database, seal: seal, policy: .publicInternet, surroundings: .system)
        return RingDesk(
            directory: directory, presence: PresenceBoard(directory: directory, server: "one", logger: Engine.logger),
            people: RingPeople(database: database), mail: nil,
            audit: RingAudit(database: database, surroundings: .system, logger: Engine.logger), logger: log.logger)
    }

    /// Without tables. The caller has no id of a request to look for.
    @Test func aFaultOfOursIsLoggedAndNotTold() async throws {
        try await Engine.withTemporaryFolder { folder in
            try await Engine.sqlite.withUnmigrated(folder, connections: 1) { database in
                let desk = desk(database)
                let error = await #expect(throws: DriveError.self) { try await desk.isConnected(device: device) }
                #expect(error?.code == .internalError && error?.message == "The call failed inside; the log has the reason.")
                #expect(log.levels == [.error] && log.lines("isConnected").count == 1, "\(log.texts)")
                #expect(log.lines("a call of the RingService failed").count == 1, "\(log.texts)")
            }
        }
    }

    @Test func aDatabaseThatIsAwayIsLogged() async throws {
        try await Engine.sqlite.with { database in
            let unreliable = UnreliableDatabase(database)
            let desk = desk(unreliable)
            unreliable.refuse(1)
            let error = await #expect(throws: DriveError.self) { try await desk.unsubscribe(device: device, for: caller) }
            #expect(error?.code == .databaseUnavailable && log.count(.error) == 1, "\(log.texts)")
        }
    }

    @Test func aRefusalIsNot() async throws {
        try await Engine.sqlite.with { database in
            let desk = desk(database)
            let unknown = await #expect(throws: DriveError.self) { try await desk.isConnected(device: device) }
            let mail = RingMail(toName: "", toAddress: "a@example.org", subject: "", body: "")
            let unset = await #expect(throws: DriveError.self) { try await desk.send(mail, for: caller) }
            #expect(unknown?.code == .notFound && unset?.code == .mailUnavailable && log.count == 0, "\(log.texts)")
        }
    }
}
