import Crypto
import DriveDatabase
import DriveEvents
import DriveModel
import EngineTestSupport
import Logging
import Foundation
import Synchronization
import Testing

@testable import DriveServer
@testable import DriveTasks

/// What a push task makes of what the provider said.
@Suite(.timeLimit(.minutes(1))) struct PushTaskTests {
    private struct Provider: PushProvider {
        let outcome: PushOutcome
        /// Happens before the answer.
        var meanwhile: @Sendable () async -> Void = {}

        func send(_ notification: PushNotification, to device: FCMRegistrationToken, options: PushOptions) async -> PushOutcome {
            await meanwhile()
            return outcome
        }
    }

    private struct Browser: PushProvider {
        let outcome: PushOutcome

        func send(_ notification: PushNotification, to device: WebPushSubscription, options: PushOptions) async -> PushOutcome { outcome }
    }

    /// The RingService of another program.
    private final class Gateway: RingGateway {
        struct Told: Hashable {
            var notification: PushNotification
            var user: String
        }

        let outcome: PushOutcome
        private let all = Mutex<[Told]>([])
        var told: [Told] { all.withLock { $0 } }

        init(_ outcome: PushOutcome) { self.outcome = outcome }

        func push(_ packet: RingPacket, to user: String) async -> PushOutcome { .refused(reason: "not asked") }

        func notify(_ notification: PushNotification, user: String) async -> PushOutcome {
            all.withLock { $0.append(Told(notification: notification, user: user)) }
            return outcome
        }
    }

    private struct Site {
        let database: any Database
        let directory: RingDirectory
        let device: RingDevice
        let push: RingPush
        let log: LogRecorder

        func run(
            _ outcome: PushOutcome, interruption: TaskInterruption? = nil, meanwhile: @escaping @Sendable () async -> Void = {}
        ) async throws -> [String: JSONValue] {
            let log = log
            let task = PushTask(
                directory: directory, providers: PushProviders(fcm: Provider(outcome: outcome, meanwhile: meanwhile)),
                alarm: PushAlarm(logger: log.logger))
            return try await task.run(FakeTaskContext(parameters: push.parameters, interruption: interruption))
        }

        /// The same notification, to the gateway.
        func forward(
            to gateway: any RingGateway, user: String? = "anna", interruption: TaskInterruption? = nil
        ) async throws -> [String: JSONValue] {
            let (log, account) = (log, push.account)
            var push = push
            push.target = .gateway
            let task = GatewayPushTask(
                gateway: gateway, users: { $0 == account ? user : nil }, alarm: PushAlarm(logger: log.logger))
            return try await task.run(FakeTaskContext(parameters: push.parameters, interruption: interruption))
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
                target: .device(device.id), account: account, notification: PushNotification(topic: "task.completed", title: "Done"),
                options: PushOptions(id: UUID()))
            try await body(Site(database: database, directory: directory, device: device, push: push, log: LogRecorder(from: .error)))
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

    /// The push service speaks of the registration that was tried.
    @Test func aRegistrationThatCameMeanwhileStays() async throws {
        try await with { site in
            let (directory, account) = (site.directory, site.push.account)
            let results = try await site.run(.unregistered) {
                guard let token = FCMRegistrationToken("token") else { return }
                _ = try? await directory.register(.fcm(token), name: "again", account: account)
            }
            #expect(results == ["outcome": "unregistered"])
            #expect(try await site.shown?.name == "again")
        }
    }

    /// Sealed with another master key: its owner sees so, and the operator.
    @Test func anUnreadableDeviceIsNoted() async throws {
        try await with { site in
            let other = SecretSeal(masterKey: [UInt8](repeating: 2, count: 32), keyId: "l", purpose: "test", surroundings: .system)
            let log = site.log
            let task = PushTask(
                directory: RingDirectory(database: site.database, seal: other, policy: .publicInternet, surroundings: .system),
                providers: PushProviders(fcm: Provider(outcome: .delivered)), alarm: PushAlarm(logger: log.logger))
            do {
                _ = try await task.run(FakeTaskContext(parameters: site.push.parameters))
                Issue.record("it was read")
            } catch let failure as TaskFailure {
                #expect(!failure.isRetryable && failure.code == "PUSH_TOKEN_UNREADABLE")
            }
            #expect(try await site.shown?.lastFailure == "unreadable")
            #expect(site.log.count == 1)
        }
    }

    @Test func theGatewayGetsTheNotificationOfItsPerson() async throws {
        try await with { site in
            let gateway = Gateway(.delivered)
            let results = try await site.forward(to: gateway)
            #expect(results == ["outcome": "delivered"])
            #expect(gateway.told == [Gateway.Told(notification: site.push.notification, user: "anna")])
            // It says nothing about a device.
            #expect(try await site.shown?.lastSuccessAt == nil)
            // The account is gone.
            #expect(try await site.forward(to: gateway, user: nil) == ["outcome": "removed"])
            #expect(gateway.told.count == 1)
            #expect(try await site.forward(to: Gateway(.unregistered)) == ["outcome": "unknown person"])
            #expect(try await site.shown != nil)
        }
    }

    @Test func theGatewaysFailuresAreThoseOfDevices() async throws {
        try await with { site in
            let rows: [(PushOutcome, code: String, wait: Duration?, isRetryable: Bool, alarms: Int)] = [
                (.retry(after: .seconds(5), reason: "away"), "PUSH_UNAVAILABLE", .seconds(5), true, 0),
                (.refused(reason: "no"), "PUSH_REFUSED", nil, false, 0), (.credentials(reason: "who"), "PUSH_CREDENTIALS", nil, true, 1),
            ]
            for (outcome, code, wait, isRetryable, alarms) in rows {
                do {
                    _ = try await site.forward(to: Gateway(outcome))
                    Issue.record("\(outcome) was no failure")
                } catch let failure as TaskFailure {
                    #expect(failure.code == code && failure.retryAfter == wait && failure.isRetryable == isRetryable)
                    #expect(failure.message.contains("RingService"))
                }
                #expect(site.log.count == alarms)
            }
            #expect(try await site.shown?.lastFailure == nil)
            await #expect(throws: TaskInterruption.stopped) {
                _ = try await site.forward(to: Gateway(.retry(after: nil, reason: "away")), interruption: .stopped)
            }
        }
    }

    /// One that has no gateway leaves its pushes to others; where there are none, they end with their day.
    @Test func aPushToTheGatewayIsForServersThatHaveOne() async throws {
        try await with { site in
            let alarm = PushAlarm(logger: Engine.logger)
            let clock = Mutex(Timestamp(seconds: 1_900_000_000))
            var surroundings = Surroundings.system
            surroundings.now = { clock.withLock { $0 } }
            let (with, without) = (
                TaskEngine(database: site.database, surroundings: surroundings, logger: Engine.logger),
                TaskEngine(database: site.database, surroundings: surroundings, logger: Engine.logger)
            )
            let devices = PushTask(directory: site.directory, providers: PushProviders(), alarm: alarm)
            without.register([devices])
            with.register([devices, GatewayPushTask(gateway: Gateway(.delivered), users: { _ in nil }, alarm: alarm)])
            var push = site.push
            push.target = .gateway
            let (own, toGateway) = (site.push, push)
            func claim(_ engine: TaskEngine) async throws -> [String?] {
                try await site.database.write { sql in
                    try engine.claim(8, queue: TaskQueues.server, worker: "one", types: engine.handledTypes, in: sql).map(\.kind)
                }
            }
            func enqueue(_ push: RingPush) async throws {
                _ = try await site.database.write { sql in
                    try without.enqueue(try PushTask.task(push, now: clock.withLock { $0 }), in: sql)
                }
            }
            try await enqueue(toGateway)
            try await enqueue(own)
            #expect(try await claim(without) == ["drive.push"])
            #expect(try await claim(with) == ["drive.push.gateway"])

            try await enqueue(toGateway)
            clock.withLock { $0 = $0 + push.options.timeToLive }
            #expect(try await without.expireDue() >= 1)
            #expect(try await claim(with).isEmpty)
        }
    }

    /// A task of one kind is none of the other.
    @Test func aTaskOfTheOtherKindFailsForGood() async throws {
        try await with { site in
            var push = site.push
            push.target = .gateway
            let alarm = PushAlarm(logger: Engine.logger)
            let (own, toGateway) = (FakeTaskContext(parameters: site.push.parameters), FakeTaskContext(parameters: push.parameters))
            await #expect(throws: PushTask.invalid) {
                _ = try await PushTask(directory: site.directory, providers: PushProviders(), alarm: alarm).run(toGateway)
            }
            await #expect(throws: PushTask.invalid) {
                _ = try await GatewayPushTask(gateway: Gateway(.delivered), users: { _ in "anna" }, alarm: alarm).run(own)
            }
        }
    }

    /// One account's many pushes are not before another's one, nor on all places.
    @Test func accountsTakeTurns() async throws {
        try await with { site in
            let engine = TaskEngine(database: site.database, logger: Engine.logger)
            engine.register([PushTask(directory: site.directory, providers: PushProviders(), alarm: PushAlarm(logger: Engine.logger))])
            var other = site.push
            while PushTask.lane(of: other.account) == PushTask.lane(of: site.push.account) { other.account = UUID() }
            let (many, one) = (site.push, other)
            let claimed = try await site.database.write { sql in
                let now = Timestamp(seconds: 1_900_000_000)
                _ = try engine.enqueue(try (0..<30).map { _ in try PushTask.task(many, now: now) }, in: sql)
                _ = try engine.enqueue(try PushTask.task(one, now: now), in: sql)
                return try engine.claim(8, queue: TaskQueues.server, worker: "one", in: sql)
            }
            let accounts = try claimed.map {
                RingPush(parameters: try DriveJSON.value([String: JSONValue].self, from: $0.parameters))?.account
            }
            #expect(accounts.filter { $0 == many.account }.count == 4)
            #expect(accounts.filter { $0 == one.account }.count == 1)
            // A few lanes for all accounts, and the same one for the same account.
            let lanes = Set((0..<5000).map { _ in PushTask.lane(of: UUID()) })
            #expect(lanes.count == Int(PushTask.lanes))
            #expect(PushTask.lane(of: one.account) == PushTask.lane(of: one.account))
        }
    }

    @Test func whatMayPassIsTriedAgainAndTheRestIsNot() async throws {
        try await with { site in
            let later = try #require(try await site.failure(.retry(after: .seconds(77), reason: "429")))
            #expect(later.isRetryable && later.retryAfter == .seconds(77) && later.code == "PUSH_UNAVAILABLE")
            #expect(try await site.shown?.lastFailure == "429")
            let refused = try #require(try await site.failure(.refused(reason: "413")))
            #expect(!refused.isRetryable && refused.code == "PUSH_REFUSED" && refused.message.contains("413"))
            #expect(site.log.count == 0)
        }
    }

    /// A browser's endpoint is whatever its subscriber says: its no is shown to him, and is neither a dead letter nor an alert. Why there
    /// is no connection is not shown: he could look around in our network so.
    @Test(arguments: [
        (PushOutcome.refused(reason: "413"), "413"), (.credentials(reason: "403"), "403"),
        (.refused(reason: "address-refused"), "no-connection"),
    ]) func aSubscribersNoIsHisOwn(_ outcome: PushOutcome, _ shown: String) async throws {
        try await with { site in
            let (directory, log) = (site.directory, site.log)
            let browser = try WebPushSubscription(
                endpoint: "https://push.example.org/a",
                p256dh: Base64URL.encode(P256.KeyAgreement.PrivateKey().publicKey.x963Representation),
                auth: Data(repeating: 1, count: 16).base64EncodedString(), policy: .publicInternet)
            let device = try await directory.register(.webPush(browser), name: nil, account: site.push.account).device
            var push = site.push
            push.target = .device(device.id)
            func run(_ outcome: PushOutcome) async throws -> [String: JSONValue] {
                try await PushTask(
                    directory: directory, providers: PushProviders(webPush: Browser(outcome: outcome)),
                    alarm: PushAlarm(logger: log.logger)
                ).run(FakeTaskContext(parameters: push.parameters))
            }
            #expect(try await run(outcome)["outcome"] == "refused")
            #expect(try await directory.devices(of: push.account).first { $0.id == device.id }?.lastFailure == shown)
            #expect(log.count == 0)
            await #expect(throws: TaskFailure.self) { _ = try await run(.retry(after: nil, reason: "unreachable")) }
            #expect(try await directory.devices(of: push.account).first { $0.id == device.id }?.lastFailure == "no-connection")
        }
    }

    /// One line in the log, however many pushes there are, and no attempt more of each.
    @Test func refusedCredentialsAreAnAlertAndNoStorm() async throws {
        try await with { site in
            let log = site.log
            let task = PushTask(
                directory: site.directory, providers: PushProviders(fcm: Provider(outcome: .credentials(reason: "401"))),
                alarm: PushAlarm(logger: log.logger))
            for _ in 0..<5 {
                do {
                    _ = try await task.run(FakeTaskContext(parameters: site.push.parameters))
                    Issue.record("it was not refused")
                } catch let failure as TaskFailure {
                    #expect(!failure.isRetryable && failure.code == "PUSH_CREDENTIALS")
                }
            }
            #expect(site.log.count == 1)
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
                _ = try await task.run(FakeTaskContext(parameters: [:]))
                Issue.record("it was taken")
            } catch let failure as TaskFailure {
                #expect(!failure.isRetryable)
            }
        }
    }

    @Test func theAlarmComesBackWhileItLasts() {
        let log = LogRecorder(from: .error)
        let now = Mutex(ContinuousClock.now)
        let alarm = PushAlarm(logger: log.logger, clock: { now.withLock { $0 } })
        alarm.raise("apns", "a")
        alarm.raise("apns", "a")
        alarm.raise("fcm", "a")
        #expect(log.count == 2)
        now.withLock { $0 = $0.advanced(by: PushAlarm.interval) }
        alarm.raise("apns", "a")
        #expect(log.count == 3)
    }
}
