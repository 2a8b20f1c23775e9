import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import JWTKit
import Logging
import Synchronization

@testable import DriveServer

/// Time of day and monotonic time that only the test moves.
final class ManualTime: Sendable {
    private let offset = Mutex(Duration.zero)
    static let start = Timestamp(seconds: 1_760_000_000)

    func advance(by duration: Duration) { offset.withLock { $0 += duration } }

    var now: Timestamp { Self.start + offset.withLock { $0 } }
    var surroundings: Surroundings { Surroundings(now: { self.now }, randomBytes: Surroundings.system.randomBytes) }
    var monotonic: MonotonicTime { MonotonicTime(now: { .seconds(1000) + self.offset.withLock { $0 } }) }
}

/// Serves key sets from memory and counts.
final class FakeFetcher: KeySetFetcher {
    struct Unreachable: Error {}

    private let replies = Mutex<[String: String]>([:])
    private let fetched = Mutex<[String]>([])
    private let meanwhile = Mutex<@Sendable () -> Void>({})

    var urls: [String] { fetched.withLock { $0 } }

    func set(_ url: String, _ reply: String?) { replies.withLock { $0[url] = reply } }
    /// What happens during each fetch from now on.
    func during(_ body: @escaping @Sendable () -> Void) { meanwhile.withLock { $0 = body } }

    func fetch(url: String, maximumBytes: Int, timeout: Duration) async throws -> [UInt8] {
        fetched.withLock { $0.append(url) }
        meanwhile.withLock { $0 }()
        guard let reply = replies.withLock({ $0[url] }) else { throw Unreachable() }
        return Array(reply.utf8)
    }
}

/// A database that can be told to fail or to keep readers waiting.
final class TroubledDatabase: Database {
    enum Mood {
        case well, failing
        /// Readers read at once, and get the answer when the flight is complete.
        case slow(read: Flight<Void>, release: Flight<Void>)
    }

    let inner: any Database
    private let state = Mutex((mood: Mood.well, reads: 0))

    init(_ inner: any Database) { self.inner = inner }

    var reads: Int { state.withLock { $0.reads } }
    func become(_ mood: Mood) { state.withLock { $0.mood = mood } }

    var dialect: SQLDialect { inner.dialect }
    var queueLength: Int { inner.queueLength }

    func read<Result: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> Result) async throws -> Result {
        let mood = state.withLock { state in
            state.reads += 1
            return state.mood
        }
        switch mood {
        case .well: break
        case .failing: throw DatabaseError(.unavailable, "the test says so")
        case .slow(let read, let release):
            let result = try await inner.read(body)
            read.complete(.success(()))
            try await release.wait()
            return result
        }
        return try await inner.read(body)
    }

    func write<Result: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> Result) async throws -> Result {
        try await inner.write(body)
    }

    func listen(to channels: [String]) throws -> any DatabaseListener { try inner.listen(to: channels) }
    func checkIntegrity() async throws -> [String] { try await inner.checkIntegrity() }
    func close() async { await inner.close() }
}

/// Everything of access control over a database in a folder of its own.
struct AccessFixture {
    let database: TroubledDatabase
    let time: ManualTime
    let fetcher: FakeFetcher
    let key: SigningKey
    let keyBytes: [UInt8]
    let issuer: TokenIssuer
    let directory: AccountDirectory
    let audit: AuditLog
    let verifier: TokenVerifier
    /// What the verifier logs.
    let log: LogRecorder

    /// A second server over the same database and keys, with memory of its own.
    func directoryOfAnotherProcess() -> AccountDirectory {
        AccountDirectory(database: database.inner, audit: audit, surroundings: time.surroundings, time: time.monotonic)
    }

    func accountToken(role: AccountRole = .user, name: String = "alice") async throws -> (Account, IssuedToken) {
        let account = try await directory.createAccount(name: name, role: role, by: .system)
        let token = try await issuer.issueAccountToken(
            accountId: account.id, name: "laptop", role: role, lifetime: .seconds(3600), by: .system)
        return (account, token)
    }

    /// The stable code of the refusal, or nil where the token is accepted.
    func refusal(_ token: String) async -> DriveError? {
        do throws(DriveError) {
            _ = try await verifier.verify(token)
            return nil
        } catch {
            return error
        }
    }
}

func withAccess(
    issuers: [DriveConfiguration.Issuer] = [], refetchInterval: Duration = .seconds(30), patience: Duration = .seconds(5),
    _ body: (AccessFixture) async throws -> Void
) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("drive-access-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    let time = ManualTime()
    let database = TroubledDatabase(try SQLiteDatabase(path: folder + "/drive.db", logger: logger))
    try await Schema.migrate(database)
    let audit = AuditLog(surroundings: time.surroundings, logger: logger)
    let directory = AccountDirectory(
        database: database, audit: audit, surroundings: time.surroundings, time: time.monotonic, patience: patience, logger: logger)
    let keyBytes = Surroundings.system.randomBytes(32)
    let key = try SigningKey(bytes: keyBytes)
    var settings = DriveConfiguration.Access()
    settings.issuers = issuers
    settings.keyRefetchInterval = refetchInterval
    let fetcher = FakeFetcher()
    let log = LogRecorder()
    let fixture = AccessFixture(
        database: database, time: time, fetcher: fetcher, key: key, keyBytes: keyBytes,
        issuer: TokenIssuer(key: key, audience: "drive", database: database, audit: audit, surroundings: time.surroundings),
        directory: directory, audit: audit,
        verifier: try await TokenVerifier(
            signingKey: key, settings: settings, directory: directory, fetcher: fetcher, surroundings: time.surroundings,
            time: time.monotonic, logger: log.logger),
        log: log)
    do {
        try await body(fixture)
    } catch {
        await database.close()
        throw error
    }
    await database.close()
}

/// Writes tokens that no honest issuer would write.
enum Forge {
    typealias Fields = [String: JSONValue]

    static func token(header: Fields, claims: Fields, sign: ([UInt8]) throws -> [UInt8]) throws -> String {
        let text = try part(header) + "." + part(claims)
        return text + "." + Base64URL.encode(try sign(Array(text.utf8)))
    }

    static func part(_ fields: Fields) throws -> String {
        Base64URL.encode(try DriveJSON.encoder().encode(JSONValue.object(fields)))
    }

    /// Signs with the private half of an asymmetric key.
    static func signer(_ algorithm: any JWTAlgorithm) -> ([UInt8]) throws -> [UInt8] {
        { bytes in try algorithm.sign(bytes) }
    }
}
