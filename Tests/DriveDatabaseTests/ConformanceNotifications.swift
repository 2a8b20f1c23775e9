import DriveModel
import EngineTestSupport
import Testing

@testable import DriveDatabase

/// What `notify` tells and `listen` hears.
extension DatabaseConformance {
    /// A channel of one test alone: the server's channels are shared by all schemas.
    private static func channel() -> String { "conformance_\(UInt64.random(in: .min ... .max))" }

    @Test(arguments: Engine.required)
    func aListenerBeginsWithReconnected(engine: Engine) async throws {
        try await engine.withDatabase { database in
            let (channel, other) = (Self.channel(), Self.channel())
            let listener = try database.listen(to: [channel])
            var elements = listener.elements.makeAsyncIterator()
            #expect(await elements.next() == .reconnected)
            try await database.write { sql in
                sql.notify(other, "not ours")
                sql.notify(channel, "ours")
            }
            #expect(await elements.next() == .notification(channel: channel, payload: "ours"))
            await listener.close()
        }
    }

    /// What is undone is not told, and nothing is told before it is durable: who hears of it finds it.
    @Test(arguments: Engine.required)
    func onlyWhatIsCommittedIsTold(engine: Engine) async throws {
        try await engine.withDatabase([Self.values]) { database in
            let channel = Self.channel()
            let listener = try database.listen(to: [channel])
            var before = listener.elements.makeAsyncIterator()
            #expect(await before.next() == .reconnected)
            await #expect(throws: Refusal.self) {
                try await database.write { sql in
                    sql.notify(channel, "undone")
                    throw Refusal()
                }
            }
            // A transaction that is held open after it notified: whoever heard of it now would hear too early.
            let (isOpen, mayCommit) = (AsyncSignal(), Signal())
            let write = Task {
                try await database.write { sql in
                    sql.notify(channel, "done")
                    try sql.execute("INSERT INTO kinds (id, number) VALUES (1, 42)")
                    isOpen.send()
                    guard mayCommit.wait() else { throw Refusal() }
                }
            }
            let heard = Counter()
            let early = Task {
                var elements = listener.elements.makeAsyncIterator()
                let first = await elements.next()
                heard.raise()
                let number = try await database.read { try $0.first("SELECT number FROM kinds WHERE id = 1")?.int("number") }
                return (first, number)
            }
            await isOpen.reached()
            // Long enough for what would be told too early to arrive.
            try await Task.sleep(for: .milliseconds(100))
            #expect(heard.count == 0)
            mayCommit.send()
            try await write.value
            let (first, number) = try await early.value
            #expect(first == .notification(channel: channel, payload: "done"))
            #expect(number == 42)
            await listener.close()
        }
    }

    /// Equal ones may come as one, but none that is different is lost, and the last one comes.
    @Test(arguments: Engine.required)
    func differentNotificationsAllArrive(engine: Engine) async throws {
        try await engine.withDatabase { database in
            let channel = Self.channel()
            let listener = try database.listen(to: [channel])
            var elements = listener.elements.makeAsyncIterator()
            #expect(await elements.next() == .reconnected)
            let payloads = (0..<50).map { "p\($0) ü'\"\\" }
            try await concurrently(50) { index in
                try await database.write { sql in
                    // Three equal ones in one transaction, and one that all share.
                    for _ in 0..<3 { sql.notify(channel, payloads[index]) }
                    sql.notify(channel, "shared")
                }
            }
            var missing = Set(payloads + ["shared"])
            var count = 0
            while !missing.isEmpty, let element = await elements.next() {
                guard case .notification(channel, let payload) = element else {
                    Issue.record("\(element)")
                    break
                }
                missing.remove(payload)
                count += 1
            }
            #expect(missing == [])
            #expect(count <= 200)
            await listener.close()
        }
    }

    /// Two readers hear the same, and one that is closed hears no more.
    @Test(arguments: Engine.required)
    func closingEndsOneListenerAlone(engine: Engine) async throws {
        try await engine.withDatabase { database in
            let channel = Self.channel()
            let (one, two) = (try database.listen(to: [channel]), try database.listen(to: [channel, Self.channel()]))
            var (first, second) = (one.elements.makeAsyncIterator(), two.elements.makeAsyncIterator())
            #expect(await first.next() == .reconnected)
            #expect(await second.next() == .reconnected)
            try await database.write { $0.notify(channel, "both") }
            #expect(await first.next() == .notification(channel: channel, payload: "both"))
            #expect(await second.next() == .notification(channel: channel, payload: "both"))
            await one.close()
            #expect(await first.next() == nil)
            try await database.write { $0.notify(channel, "one") }
            #expect(await second.next() == .notification(channel: channel, payload: "one"))
            await two.close()
            #expect(await second.next() == nil)
            // Once more does no harm.
            await two.close()
        }
    }

    /// A closure that runs again for a serialization failure or another one's undoing tells once, what its last run told.
    @Test(arguments: Engine.required)
    func aRefusedNeighbourTellsNothing(engine: Engine) async throws {
        try await engine.withDatabase { database in
            let channel = Self.channel()
            let listener = try database.listen(to: [channel])
            var elements = listener.elements.makeAsyncIterator()
            #expect(await elements.next() == .reconnected)
            try await concurrently(40) { index in
                do {
                    try await database.write { sql in
                        sql.notify(channel, index % 2 == 0 ? "kept \(index)" : "undone \(index)")
                        if index % 2 != 0 { throw Refusal() }
                    }
                } catch is Refusal {}
            }
            try await database.write { $0.notify(channel, "last") }
            var heard: Set<String> = []
            while !heard.contains("last") || heard.count < 21, case .notification(_, let payload)? = await elements.next() {
                #expect(!payload.hasPrefix("undone"))
                heard.insert(payload)
            }
            #expect(heard.count == 21)
            await listener.close()
        }
    }
}

/// A reader that is slower than what one process tells.
@Suite struct LocalNotificationsTests {
    @Test func whatFindsNoRoomIsReplacedByReconnected() async {
        let notifications = LocalNotifications()
        let listener = notifications.listen(to: ["c"], bufferSize: 2)
        var elements = listener.elements.makeAsyncIterator()
        // One place is taken by the first `.reconnected`.
        for number in 0..<5 { notifications.post("c", "\(number)") }
        #expect(await elements.next() == .reconnected)
        #expect(await elements.next() == .notification(channel: "c", payload: "0"))
        notifications.post("c", "5")
        #expect(await elements.next() == .reconnected, "it missed some")
        notifications.post("c", "6")
        #expect(await elements.next() == .notification(channel: "c", payload: "6"))
        notifications.close()
        #expect(await elements.next() == nil)
    }

    @Test func afterTheEndNobodyListens() async {
        let notifications = LocalNotifications()
        notifications.close()
        let listener = notifications.listen(to: ["c"])
        notifications.post("c", "x")
        var elements = listener.elements.makeAsyncIterator()
        #expect(await elements.next() == nil)
        await listener.close()
    }
}

/// Something happened on a database's thread, for whom waits without a thread.
private struct AsyncSignal: Sendable {
    private let stream = AsyncStream<Void>.makeStream()

    func send() { stream.continuation.finish() }

    func reached() async { for await _ in stream.stream {} }
}
