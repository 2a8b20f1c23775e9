import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import Foundation
import Logging
import NIOCore
import ServiceLifecycle

/// Notifications to people: what the routes ask, who watches, and what turns events into pushes.
final class RingService: Service {
    let directory: RingDirectory
    let presence: PresenceBoard
    let policy: PushAddressPolicy
    let providers: PushProviders
    /// What a browser subscribes with; nil where there is no Web Push.
    let vapidPublicKey: String?
    private let dispatcher: RingDispatcher
    private let transport: HTTPPushTransport

    private init(
        directory: RingDirectory, policy: PushAddressPolicy, setup: RingSetup, transport: HTTPPushTransport, engine: TaskEngine,
        surroundings: Surroundings, logger: Logger
    ) {
        self.directory = directory
        self.policy = policy
        self.transport = transport
        providers = setup.providers
        vapidPublicKey = setup.vapidPublicKey
        presence = PresenceBoard(directory: directory, server: surroundings.newIdentifier(), logger: logger)
        dispatcher = RingDispatcher(database: engine.database, directory: directory, logger: logger) { pushes, sql in
            let now = surroundings.now()
            _ = try engine.enqueue(try pushes.map { try PushTask.task($0, now: now) }, in: sql)
        }
        engine.register([PushTask(directory: directory, providers: setup.providers, alarm: PushAlarm(logger: logger))])
    }

    /// Reads the keys, makes the one for Web Push at the first start, and registers the handler of pushes. Blocks a little.
    ///
    /// - Throws: `SecretError` naming the setting; the database's error.
    static func open(
        _ configuration: DriveConfiguration, database: any Database, masterKey: MasterKey, engine: TaskEngine,
        eventLoopGroup: any EventLoopGroup, surroundings: Surroundings, logger: Logger
    ) async throws -> RingService {
        let policy = configuration.ring.networks.policy
        let transport = HTTPPushTransport(
            policy: policy, authorities: try RingSetup.authorities(configuration.ring.caFile), eventLoopGroup: eventLoopGroup)
        do {
            let setup = try await RingSetup(
                configuration, database: database, masterKey: masterKey, policy: policy, transport: transport, surroundings: surroundings,
                logger: logger)
            let directory = RingDirectory(
                database: database,
                seal: SecretSeal(masterKey: masterKey.bytes, keyId: masterKey.id, purpose: "ring devices", surroundings: surroundings),
                policy: policy, surroundings: surroundings)
            return RingService(
                directory: directory, policy: policy, setup: setup, transport: transport, engine: engine, surroundings: surroundings,
                logger: logger)
        } catch {
            await transport.shutdown()
            throw error
        }
    }

    /// Whether devices of this platform can be reached.
    func isSetUp(_ platform: PushPlatform) -> Bool {
        switch platform {
        case .webPush: providers.webPush != nil
        case .apns: providers.apns != nil
        case .fcm: providers.fcm != nil
        }
    }

    func run() async throws {
        try await cancelWhenGracefulShutdown { [dispatcher, presence] in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await dispatcher.run() }
                group.addTask { await presence.run() }
                try await group.waitForAll()
            }
        }
    }

    /// Closes the connections to the push services; after the last task has ended.
    func shutdown() async { await transport.shutdown() }
}
