import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import EngineTestSupport
import Foundation
import Logging
import Synchronization
import Testing

@testable import DriveServer

/// What a push task makes of what the provider said.
@Suite(.timeLimit(.minutes(1))) struct PushTaskTests {
    private struct Provider: PushProvider {
        let outcome: PushOutcome

        func send(_ notification: PushNotification, to device: FCMRegistrationToken, options: PushOptions) async -> PushOutcome { outcome }
    }

    private struct Context: TaskContext {
        var taskId = "t"
        var accountId = UUID()
        var parameters: [String: JSONValue]
        var attempt = 1
        var fencingToken: Int64 = 1
        var checkpoint: JSONValue?
        var progress = 0.0
        let logger = Engine.logger
        var interruption: TaskInterruption?

        func checkInterruption() throws(TaskInterruption) {
            if let interruption { throw interruption }
        }

        func report(_ progress: Double, message: String?) {}

        func commit<Result: Sendable>(
            checkpoint: JSONValue?, progress: Double?, message: String?, _ change: @escaping @Sendable (any SQLSession) throws -> Result
        ) async throws -> Result {
            throw TaskInterruption.fenced
        }
    }

    private final class Lines: LogHandler {
        let lines = Mutex(0)
        var metadata: Logger.Metadata {
            get { [:] }
            set {}
        }
        var logLevel: Logger.Level {
            get { .error }
            set {}
        }
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { nil }
            set {}
        }

        func log(event: LogEvent) { lines.withLock { $0 += 1 } }
    }

    private struct Site {
        let directory: RingDirectory
        let device: RingDevice
        let push: RingPush
        let log: Lines

        func run(_ outcome: PushOutcome, interruption: TaskInterruption? = nil) async throws -> [String: JSONValue] {
            let log = log
            let task = PushTask(
                directory: directory, providers: PushProviders(fcm: Provider(outcome: outcome)),
                alarm: PushAlarm(logger: Logger(label: "test") { _ in log }))
            return try await task.run(Context(parameters: push.parameters, interruption: interruption))
        }

        func failure(_ outcome: PushOutcome) async throws -> TaskFailure? {
            do {
                _ = try await run(outcome)
                return nil
            } catch let failure as TaskFailure {
                return failure
            }
        }

        var shown: RingDevice? { get async throws { try await directory.devices(of: push.account).first } }
    }

    private func with(_ body: (Site) async throws -> Void) async throws {
        try await Engine.sqlite.with { database in
            let surroundings = Surroundings.system
            let seal = SecretSeal(masterKey: [UInt8](repeating: 1, count: 32), keyId: "k", purpose: "test", surroundings: surroundings)
            let directory = RingDirectory(database: database, seal: seal, policy: .publicInternet, surroundings: surroundings)
            let account = UUID()
            let token = try #require(FCMRegistrationToken("token"))
            let device = try await directory.register(.fcm(token), name: nil, account: account).device
            let push = RingPush(
                device: device.id, account: account, notification: PushNotification(topic: "task.completed", title: "Done"),
                options: PushOptions(id: UUID()))
            try await body(Site(directory: directory, device: device, push: push, log: Lines()))
        }
    }

    @Test func whatWasDeliveredIsNoted() async throws {
        try await with { site in
            let results = try await site.run(.delivered)
            #expect(results == ["outcome": "delivered"])
            #expect(try await site.shown?.lastSuccessAt != nil)
        }
    }

    @Test func anUnregisteredDeviceGoesUnlessItIsNewer() async throws {
        try await with { site in
            let results = try await site.run(.unregistered(since: Timestamp(seconds: 1)))
            #expect(results == ["outcome": "unregistered"])
            #expect(try await site.shown != nil)
            #expect(try await site.run(.unregistered) == ["outcome": "unregistered"])
            #expect(try await site.shown == nil)
            // What was on its way to it is dropped.
            #expect(try await site.run(.delivered) == ["outcome": "removed"])
        }
    }

    @Test func whatMayPassIsTriedAgainAndTheRestIsNot() async throws {
        try await with { site in
            let later = try #require(try await site.failure(.retry(after: .seconds(77), reason: "429")))
            #expect(later.isRetryable && later.retryAfter == .seconds(77) && later.code == "PUSH_UNAVAILABLE")
            #expect(try await site.shown?.lastFailure == "429")
            let refused = try #require(try await site.failure(.refused(reason: "413")))
            #expect(!refused.isRetryable && refused.code == "PUSH_REFUSED" && refused.message.contains("413"))
            #expect(site.log.lines.withLock { $0 } == 0)
        }
    }

    /// One line in the log, however many pushes there are, and no attempt more of each.
    @Test func refusedCredentialsAreAnAlertAndNoStorm() async throws {
        try await with { site in
            let log = site.log
            let task = PushTask(
                directory: site.directory, providers: PushProviders(fcm: Provider(outcome: .credentials(reason: "401"))),
                alarm: PushAlarm(logger: Logger(label: "test") { _ in log }))
            for _ in 0..<5 {
                do {
                    _ = try await task.run(Context(parameters: site.push.parameters))
                    Issue.record("it was not refused")
                } catch let failure as TaskFailure {
                    #expect(!failure.isRetryable && failure.code == "PUSH_CREDENTIALS")
                }
            }
            #expect(site.log.lines.withLock { $0 } == 1)
        }
    }

    @Test func anInterruptionCostsNoAttempt() async throws {
        try await with { site in
            await #expect(throws: TaskInterruption.stopped) {
                _ = try await site.run(.retry(after: nil, reason: "cancelled"), interruption: .stopped)
            }
        }
    }

    @Test func brokenParametersFailForGood() async throws {
        try await with { site in
            let task = PushTask(directory: site.directory, providers: PushProviders(), alarm: PushAlarm(logger: Engine.logger))
            do {
                _ = try await task.run(Context(parameters: [:]))
                Issue.record("it was taken")
            } catch let failure as TaskFailure {
                #expect(!failure.isRetryable)
            }
        }
    }

    @Test func theAlarmComesBackWhileItLasts() {
        let log = Lines()
        let now = Mutex(ContinuousClock.now)
        let alarm = PushAlarm(logger: Logger(label: "test") { _ in log }, clock: { now.withLock { $0 } })
        alarm.raise("apns", "a")
        alarm.raise("apns", "a")
        alarm.raise("fcm", "a")
        #expect(log.lines.withLock { $0 } == 2)
        now.withLock { $0 = $0.advanced(by: PushAlarm.interval) }
        alarm.raise("apns", "a")
        #expect(log.lines.withLock { $0 } == 3)
    }
}
