import DriveDatabase
import DriveModel
import EngineTestSupport
import Foundation
import Logging
import Synchronization
import Testing

@testable import DriveEvents

/// Nobody waits for another account's backlog or failure.
@Suite(.timeLimit(.minutes(1))) struct RingFairnessTests {
    private struct Refused: Error {}

    private func running(
        _ site: RingSite, directory: RingDirectory? = nil, width: Int, logger: Logger = Engine.logger,
        enqueue: @escaping EnqueuePushes, _ body: () async throws -> Void
    ) async throws {
        var pace = RingDispatcher.Pace()
        pace.gathering = .milliseconds(1)
        pace.lookInterval = .seconds(600)
        pace.patience = .milliseconds(5)
        pace.width = width
        let dispatcher = RingDispatcher(
            database: site.database, directory: directory ?? site.directory, pace: pace, logger: logger, enqueue: enqueue)
        let run = Task { try await dispatcher.run() }
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

    /// The first of all accounts fails for as long as it likes: the others are told, at the start and later, and the log has one
    /// line of it. It is not forgotten, without a word and without a search.
    @Test(arguments: Engine.underTest) func anAccountThatFailsHoldsNobodyUp(engine: Engine) async throws {
        try await RingSite.with(engine) { site in
            let poison = UUID(uuid: (0, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1))
            let others = (0..<10).map { _ in UUID() }
            for (index, account) in ([poison] + others).enumerated() {
                _ = try await site.register(account, index)
                try await site.send([.completed("first")], to: account)
            }
            let failures = Mutex(0)
            let isMended = Mutex(false)
            let log = LogRecorder(from: .warning)
            try await running(site, width: 1, logger: log.logger) { pushes, sql in
                if pushes.contains(where: { $0.account == poison }), !isMended.withLock({ $0 }) {
                    failures.withLock { $0 += 1 }
                    throw Refused()
                }
                try RingSite.enqueue(pushes, sql)
            } _: {
                try await eventually { try await site.pushes().count == others.count }
                try await eventually { failures.withLock { $0 } >= 5 }
                for account in others { try await site.send([.completed("second")], to: account) }
                try await eventually { try await site.pushes().count == 2 * others.count }
                #expect(log.count == 1)
                #expect(try await site.list(poison).isEmpty)
                isMended.withLock { $0 = true }
                try await eventually { try await site.pushes().count == 2 * others.count + 1 }
                #expect(try await site.list(poison).count == 1)
            }
        }
    }

    /// One page for each in turn: whoever has two is done before the one with many has his third.
    @Test(arguments: Engine.underTest) func aLongBacklogIsBehindTheShortOnes(engine: Engine) async throws {
        try await RingSite.with(engine) {
            $0.page = 1
        } _: { site in
            let long = UUID()
            let short = (0..<5).map { _ in UUID() }
            for (index, account) in ([long] + short).enumerated() {
                _ = try await site.register(account, index)
                try await site.send((1...(account == long ? 30 : 2)).map { .completed("\($0)") }, to: account)
            }
            let order = Mutex<[UUID]>([])
            try await running(site, width: 1) { pushes, sql in
                order.withLock { $0 += pushes.map(\.account) }
                try RingSite.enqueue(pushes, sql)
            } _: {
                try await eventually { try await site.pushes().count == 40 }
            }
            let all = order.withLock { $0 }
            let third = try #require(all.indices.filter { all[$0] == long }.dropFirst(2).first)
            #expect(all[third...].allSatisfy { $0 == long }, "\(all.map { $0 == long })")
        }
    }

    /// Holds each transaction at a gate of its own, and counts those that are under way.
    private final class GatedDatabase: Database {
        private struct State {
            var gates: [Gate] = []
            var isOpen = false
            var running = 0
            var most = 0
        }

        private let base: any Database
        private let state = Mutex(State())

        init(_ base: any Database) { self.base = base }

        var running: Int { state.withLock { $0.running } }
        var most: Int { state.withLock { $0.most } }

        /// Lets the one go on that has waited longest.
        func openNext() {
            let gate = state.withLock { state -> Gate? in state.gates.isEmpty ? nil : state.gates.removeFirst() }
            gate?.open()
        }

        /// Lets all go on, and whatever comes later.
        func openAll() {
            let gates = state.withLock { state -> [Gate] in
                state.isOpen = true
                defer { state.gates = [] }
                return state.gates
            }
            for gate in gates { gate.open() }
        }

        var dialect: SQLDialect { base.dialect }
        var queueLength: Int { base.queueLength }

        func read<Result: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> Result) async throws -> Result {
            try await base.read(body)
        }

        func write<Result: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> Result) async throws -> Result {
            let gate = Gate()
            let isOpen = state.withLock { state -> Bool in
                state.running += 1
                state.most = max(state.most, state.running)
                if !state.isOpen { state.gates.append(gate) }
                return state.isOpen
            }
            defer { state.withLock { $0.running -= 1 } }
            if !isOpen { await gate.wait() }
            return try await base.write(body)
        }

        func listen(to channels: [String]) throws -> any DatabaseListener { try base.listen(to: channels) }
        func checkIntegrity() async throws -> [String] { try await base.checkIntegrity() }
        func close() async { await base.close() }
    }

    @Test func aFewAccountsAreLookedAtTheSameTime() async throws {
        try await RingSite.with(.sqlite) { site in
            let accounts = (0..<12).map { _ in UUID() }
            for account in accounts { try await site.send([.completed("a")], to: account) }
            let database = GatedDatabase(site.database)
            let directory = RingDirectory(
                database: database, seal: .sample(), policy: .publicInternet, surroundings: site.clock.surroundings)
            try await running(site, directory: directory, width: 3, enqueue: RingSite.enqueue) {
                // However this ends: the dispatcher ends after its transactions.
                defer { database.openAll() }
                try await eventually { database.running == 3 }
                try await eventually {
                    database.openNext()
                    for account in accounts {
                        if try await site.list(account).isEmpty { return false }
                    }
                    return true
                }
            }
            #expect(database.most == 3)
        }
    }
}
