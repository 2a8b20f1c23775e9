import DriveDatabase
import DriveEvents
import DriveModel
import EngineTestSupport
import Foundation
import Testing

@Suite struct ProgressThrottleTests {
    struct Step: Sendable {
        var after: Duration
        var progress: Double
        var isSent: Bool
    }

    @Test(
        arguments: [
            // Five points are enough at once, less is not.
            [
                Step(after: .zero, progress: 4.99, isSent: false), Step(after: .zero, progress: 5, isSent: true),
                Step(after: .zero, progress: 9.9, isSent: false),
            ],
            // Five points since the last one sent, not since the last one seen.
            [
                Step(after: .zero, progress: 3, isSent: false), Step(after: .zero, progress: 6, isSent: true),
                Step(after: .zero, progress: 10.5, isSent: false),
            ],
            // Any progress after a second; none without progress.
            [
                Step(after: .milliseconds(999), progress: 1, isSent: false), Step(after: .milliseconds(1), progress: 1, isSent: true),
                Step(after: .seconds(100), progress: 1, isSent: false), Step(after: .zero, progress: 1.01, isSent: true),
            ],
            // The last one always.
            [Step(after: .zero, progress: 97.5, isSent: true), Step(after: .zero, progress: 100, isSent: true)],
            // Never back, however long ago.
            [
                Step(after: .zero, progress: 50, isSent: true), Step(after: .seconds(60), progress: 40, isSent: false),
                Step(after: .zero, progress: 100, isSent: true),
            ],
            // A clock that jumps back holds small steps, never large ones.
            [Step(after: .seconds(-3600), progress: 1, isSent: false), Step(after: .zero, progress: 5, isSent: true)],
        ] as [[Step]])
    func sendsWhatIsWorthIt(steps: [Step]) {
        var now = Timestamp(seconds: 1000)
        var throttle = ProgressThrottle(sentProgress: 0, sentAt: now)
        for (number, step) in steps.enumerated() {
            now = now + step.after
            #expect(throttle.shouldSend(step.progress, now: now) == step.isSent, "step \(number)")
            if step.isSent { #expect((throttle.sentProgress, throttle.sentAt) == (step.progress, now)) }
        }
    }

    /// Whatever comes, and however fast: never more than the rule allows, never older than it allows, and the last one.
    @Test(arguments: [5, 40, 5000], [Duration.zero, .microseconds(200), .milliseconds(50), .milliseconds(700), .seconds(3)])
    func whateverTheChunksTheLastIsSent(chunks: Int, apart: Duration) {
        var now = Timestamp(seconds: 1000)
        var throttle = ProgressThrottle(sentProgress: 0, sentAt: now)
        var sent: [(progress: Double, at: Timestamp)] = [(0, now)]
        for chunk in 1...chunks {
            now = now + apart
            let progress = Double(chunk) * 100 / Double(chunks)
            let (last, isSent) = (sent[sent.count - 1], throttle.shouldSend(progress, now: now))
            let isDue = progress - last.progress >= 5 || now - last.at >= .seconds(1) || chunk == chunks
            #expect(isSent == isDue, "chunk \(chunk)")
            if isSent { sent.append((progress, now)) }
        }
        #expect(sent.last?.progress == 100)
        // At most one per five points, and one per second beside them.
        #expect(sent.count <= 22 + Int((apart * chunks).inSeconds))
    }
}

@Suite struct EventOutboxTests {
    private static func event(_ type: String) -> DriveEvent {
        DriveEvent(type: type, taskId: "t", data: ["type": .string(type)])
    }

    private static func sequences(_ account: UUID, in site: Site) async throws -> [Int64] {
        try await site.database.read { sql in
            try sql.query("SELECT sequence FROM events WHERE account_id = $1 ORDER BY sequence", [.uuid(account)]).map {
                try $0.int64("sequence")
            }
        }
    }

    /// Many writers at once, some undone: the numbers of each account have no gap and follow the order within a call.
    @Test(arguments: Engine.underTest)
    func numbersHaveNoGaps(engine: Engine) async throws {
        struct Undone: Error {}
        try await Site.with(engine) { site in
            let accounts = [UUID(), UUID(), UUID()]
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<150 {
                    let account = accounts[number % 3]
                    let isUndone = number.isMultiple(of: 7)
                    group.addTask {
                        do {
                            try await site.database.write { sql in
                                let events = ["a", "b", "c"].prefix(number % 4).map { Self.event("\(number)\($0)") }
                                try EventOutbox.append(events, account: account, now: Timestamp(seconds: 1), in: sql)
                                if isUndone { throw Undone() }
                            }
                        } catch is Undone {}
                    }
                }
                try await group.waitForAll()
            }
            for (place, account) in accounts.enumerated() {
                let expected = (0..<150).filter { $0 % 3 == place && !$0.isMultiple(of: 7) }.reduce(0) { $0 + $1 % 4 }
                #expect(try await Self.sequences(account, in: site) == Array(1...Int64(expected)))
            }
            let types = try await site.database.read { sql in
                try sql.query("SELECT type FROM events WHERE account_id = $1 ORDER BY sequence", [.uuid(accounts[0])]).map {
                    try $0.text("type")
                }
            }
            for (first, second) in zip(types, types.dropFirst()) where first.dropLast() == second.dropLast() { #expect(first < second) }
        }
    }

    @Test(arguments: Engine.underTest)
    func prunesTheOldAndGoesOnCounting(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let account = UUID()
            for second in 1...10 as ClosedRange<Int64> {
                try await site.database.write {
                    try EventOutbox.append([Self.event("x")], account: account, now: Timestamp(seconds: second), in: $0)
                }
            }
            #expect(try await site.database.write { try EventOutbox.prune(before: Timestamp(seconds: 6), limit: 3, in: $0) } == 3)
            #expect(try await Self.sequences(account, in: site) == Array(4...10))
            #expect(try await site.database.write { try EventOutbox.prune(before: Timestamp(seconds: 100), limit: 100, in: $0) } == 7)
            try await site.database.write {
                try EventOutbox.append([Self.event("x")], account: account, now: Timestamp(seconds: 99), in: $0)
            }
            #expect(try await Self.sequences(account, in: site) == [11])
        }
    }

    @Test(arguments: Engine.underTest)
    func keepsWhatItWasTold(engine: Engine) async throws {
        try await Site.with(engine) { site in
            let account = UUID()
            let data: [String: JSONValue] = ["progress": .double(12.5), "text": "ü\u{0001}'\"", "nested": [1, .null]]
            try await site.database.write { sql in
                try EventOutbox.append(
                    [DriveEvent(type: "task.progress", taskId: nil, data: data)], account: account, now: Timestamp(microseconds: 1_000_001),
                    in: sql)
                try EventOutbox.append([], account: UUID(), now: Timestamp(seconds: 0), in: sql)
            }
            let row = try await site.database.read { sql in
                try sql.first("SELECT * FROM events").map {
                    (try $0.decoded("data", as: [String: JSONValue].self), try $0.optionalText("task_id"), try $0.timestamp("created_at"))
                }
            }
            #expect(row?.0 == data)
            #expect(row?.1 == nil)
            #expect(row?.2 == Timestamp(microseconds: 1_000_001))
            #expect(try await site.database.number("SELECT COUNT(*) AS value FROM event_sequences") == 1)
        }
    }
}
