import DriveDatabase
import DriveModel
import EngineTestSupport
import Logging
import Foundation
import Synchronization
import Testing

@testable import DriveEvents

/// Forwarders over one database of their own. Leases and waits go by the manual clock, so that nothing expires unasked.
struct ForwardSite: Sendable {
    let database: any Database
    let clock: ManualClock
    let gateway: ScriptedGateway
    let log = LogRecorder(from: .notice)

    static let localIssuer = "drive"
    /// Where the clock may be moved without a word about the lead.
    static let longLease = Duration.seconds(1_000_000)

    static func with(_ engine: Engine, _ body: (ForwardSite) async throws -> Void) async throws {
        let clock = ManualClock()
        try await engine.with { try await body(ForwardSite(database: $0, clock: clock, gateway: ScriptedGateway(clock))) }
    }

    /// Paced for tests: what waits for real time waits for milliseconds, or for ever.
    func forwarder(
        _ server: String = "one", database: (any Database)? = nil, gateway: ScriptedGateway? = nil, lease: Duration = longLease,
        _ change: (inout PacketForwarder.Pace) -> Void = { _ in }
    ) -> PacketForwarder {
        var pace = PacketForwarder.Pace()
        pace.lookInterval = .seconds(600)
        pace.writing = .milliseconds(2)
        pace.renewal = .milliseconds(5)
        pace.lease = lease
        pace.farewell = .milliseconds(5)
        pace.patience = .milliseconds(5)
        change(&pace)
        let surroundings = clock.surroundings
        let directory = RingDirectory(
            database: database ?? self.database, seal: .sample(surroundings: surroundings), policy: .publicInternet,
            surroundings: surroundings)
        return PacketForwarder(
            directory: directory, gateway: gateway ?? self.gateway, server: server, localIssuer: Self.localIssuer, pace: pace,
            logger: log.logger, steady: { [clock] in clock.steady })
    }

    /// Runs `body` beside a forwarder; it ends, whatever it waits for.
    func running(_ forwarder: PacketForwarder, _ body: () async throws -> Void) async throws {
        let run = Task { try await forwarder.run() }
        let result: Result<Void, any Error>
        do {
            try await body()
            result = .success(())
        } catch {
            result = .failure(error)
        }
        run.cancel()
        try await run.value
        try result.get()
    }

    /// Events were forwarded here before, so that what comes from now on is forwarded whenever a forwarder runs.
    func begin() async throws {
        let forwarder = forwarder("first")
        try await running(forwarder) { try await eventually { forwarder.isLeading } }
    }

    /// Lets time pass until it is so.
    func passing(_ step: Duration, until condition: () async throws -> Bool) async throws {
        try await eventually(within: .seconds(30)) {
            clock.advance(by: step)
            return try await condition()
        }
    }

    /// An account whom the external RingService calls by this name.
    func account(_ subject: String, issuer: String = "https://id.example", isDisabled: Bool = false) async throws -> UUID {
        let (id, now) = (UUID(), clock.now)
        try await database.change(
            "INSERT INTO accounts (id, issuer, subject, name, role, created_at, disabled_at) VALUES ($1, $2, $3, $3, $4, $5, $6)",
            [.uuid(id), .text(issuer), .text(subject), .text("user"), .timestamp(now), .timestamp(isDisabled ? now : nil)])
        return id
    }

    /// Events with these numbers, each in a transaction of its own.
    func send(_ numbers: ClosedRange<Int>, to account: UUID) async throws {
        for number in numbers { try await send([.numbered(number)], to: account) }
    }

    func send(_ events: [DriveEvent], to account: UUID) async throws {
        let now = clock.now
        try await database.write { try EventOutbox.append(events, account: account, now: now, in: $0) }
    }

    /// How far an account came, as it is written.
    func cursor(_ account: UUID) async throws -> Int64 {
        try await database.number("SELECT sequence AS value FROM ring_forwarding WHERE account_id = $1", [.uuid(account)])
    }
}

/// A gateway that does as it is told, and keeps what it was given.
final class ScriptedGateway: RingGateway {
    struct Packet: Hashable, Sendable {
        var user: String
        var type: String
        var number: Int
    }

    private struct State {
        var delivered: [Packet] = []
        var calls: [Timestamp] = []
        var answers = 0
        /// By the user, for each call that waits.
        var held: [String: [AsyncStream<Void>.Continuation]] = [:]
        var answer: @Sendable (Packet) -> PushOutcome = { _ in .delivered }
    }

    private let clock: ManualClock
    private let state = Mutex(State())

    init(_ clock: ManualClock) {
        self.clock = clock
    }

    /// What was delivered, in order.
    var delivered: [Packet] { state.withLock { $0.delivered } }
    /// When each call began.
    var calls: [Timestamp] { state.withLock { $0.calls } }
    /// Calls that were answered, however.
    var answers: Int { state.withLock { $0.answers } }
    /// What went by between one call and the next.
    var waits: [Duration] { zip(calls.dropFirst(), calls).map { $0 - $1 } }

    func numbers(of user: String) -> [Int] { delivered.filter { $0.user == user }.map(\.number) }

    func answer(_ answer: @escaping @Sendable (Packet) -> PushOutcome) {
        state.withLock { $0.answer = answer }
    }

    /// Calls for this user do not end until it is released, or they are cancelled.
    func hold(_ user: String) {
        state.withLock { state in
            if state.held[user] == nil { state.held[user] = [] }
        }
    }

    func release(_ user: String) {
        for waiting in state.withLock({ $0.held.removeValue(forKey: user) ?? [] }) { waiting.finish() }
    }

    func push(_ packet: RingPacket, to user: String) async -> PushOutcome {
        let now = clock.now
        let (release, waiting) = AsyncStream.makeStream(of: Void.self)
        let isHeld = state.withLock { state -> Bool in
            state.calls.append(now)
            state.held[user]?.append(waiting)
            return state.held[user] != nil
        }
        if isHeld {
            for await _ in release {}
            if Task.isCancelled { return .retry(after: nil, reason: "cancelled") }
        }
        let number = (try? DriveJSON.value([String: JSONValue].self, from: packet.data))?["number"]?.integer ?? -1
        let packet = Packet(user: user, type: packet.type, number: Int(number))
        return state.withLock { state in
            state.answers += 1
            let outcome = state.answer(packet)
            if outcome == .delivered { state.delivered.append(packet) }
            return outcome
        }
    }

    func notify(_ notification: PushNotification, user: String) async -> PushOutcome { .refused(reason: "not here") }
}

extension DriveEvent {
    static func numbered(_ number: Int, type: String = "task.completed", task: String? = nil) -> DriveEvent {
        DriveEvent(type: type, taskId: task ?? "task-\(number)", data: ["number": .integer(Int64(number))])
    }
}
