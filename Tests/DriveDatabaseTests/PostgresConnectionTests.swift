import DriveModel
import EngineTestSupport
import Logging
import Testing

@testable import DriveDatabase

/// Needs no server: a port where nobody listens, and strings that cannot be read.
@Suite(.timeLimit(.minutes(1)))
struct PostgresUnreachableTests {
    @Test func anUnreachableServerIsUnavailableSoon() async throws {
        let log = LogRecorder(from: .trace)
        let database = try PostgresDatabase(
            connectionString: "postgresql://drive:hunter2secret@127.0.0.1:1/drive", maximumConnections: 2,
            logger: log.logger,
            configuration: PostgresConfiguration(reconnectPatience: .milliseconds(300)))
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: DatabaseError?.self) { group in
            for _ in 0..<200 {
                group.addTask {
                    do {
                        return try await database.write { _ in nil }
                    } catch let error as DatabaseError {
                        return error
                    }
                }
            }
            for try await error in group {
                #expect(error?.kind == .unavailable)
                #expect(error?.message.contains("hunter2secret") == false)
            }
        }
        // 200 calls on two threads do not wait their patience one after the other.
        #expect(ContinuousClock.now - start < .seconds(10))
        await database.close()
        #expect(!log.texts.isEmpty)
        #expect(!log.texts.contains { $0.contains("hunter2secret") })
    }

    @Test(arguments: ["postgresql://drive:hunter2secret@[::1/drive", "host=x hunter2secret", "postgresql://h/d?hunter2secret=1"])
    func aWrongStringIsRefusedWithoutQuotingIt(connectionString: String) {
        let error = #expect(throws: DatabaseError.self) {
            try PostgresDatabase(connectionString: connectionString, logger: Engine.logger)
        }
        #expect(error?.kind == .statement)
        #expect(error?.message.contains("hunter2secret") == false)
    }
}

/// A reader that is slower than the notifications.
@Suite struct PostgresListenerOutputTests {
    @Test func whatFindsNoRoomIsReplacedByReconnected() async {
        let (stream, continuation) = AsyncStream<PostgresListener.Element>.makeStream(bufferingPolicy: .bufferingOldest(2))
        var output = PostgresListenerOutput(continuation)
        for number in 0..<5 { output.deliver(channel: "c", payload: "\(number)") }
        output.settle()
        #expect(output.owesReconnected, "the buffer is still full")
        var elements = stream.makeAsyncIterator()
        #expect(await elements.next() == .notification(channel: "c", payload: "0"))
        output.settle()
        #expect(!output.owesReconnected)
        #expect(await elements.next() == .notification(channel: "c", payload: "1"))
        output.deliver(channel: "c", payload: "5")
        continuation.finish()
        #expect(await elements.next() == .reconnected)
        #expect(await elements.next() == .notification(channel: "c", payload: "5"))
        #expect(await elements.next() == nil)
    }
}

@Suite(.serialized, .enabled(if: Engine.isPostgresRequired), .timeLimit(.minutes(1)))
struct PostgresListenerTests {
    @Test func notificationsArriveAlsoAfterABreak() async throws {
        try await PostgresSandbox.with { sandbox in
            let channel = "Quoted \(sandbox.schema)"
            let database = try sandbox.open(connections: 1)
            let listener = try PostgresListener(
                connectionString: sandbox.connectionString, channels: [channel], logger: Engine.logger)
            var elements = listener.elements.makeAsyncIterator()
            let notify: @Sendable (String) async throws -> Void = { payload in
                try await database.change("SELECT pg_notify($1, $2)", [.text(channel), .text(payload)])
            }
            #expect(await elements.next() == .reconnected)
            try await notify("one")
            #expect(await elements.next() == .notification(channel: channel, payload: "one"))
            let ended = try await database.read { sql in
                try sql.query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = $1", [.text("LISTEN \"\(channel)\"")]
                ).count
            }
            #expect(ended == 1)
            #expect(await elements.next() == .reconnected)
            try await notify("two")
            #expect(await elements.next() == .notification(channel: channel, payload: "two"))
            await listener.close()
            #expect(await elements.next() == nil)
            await database.close()
        }
    }
}
