import DriveDatabase
import DriveEvents
import DriveModel
import DriveRing
import DriveTasks
import Foundation
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization

/// Notifications to people: what the routes ask, who watches, and what turns events into pushes. And what goes to the RingService
/// of another program, where there is one.
final class RingService: Service {
    let directory: RingDirectory
    let presence: PresenceBoard
    let policy: PushAddressPolicy
    let providers: PushProviders
    /// What a browser subscribes with; nil where there is no Web Push.
    let vapidPublicKey: String?
    /// What other programs ask of this server.
    let desk: RingDesk
    /// Whether it is told who has a connection open: other programs may ask.
    private let tellsConnections: Bool
    private let dispatcher: RingDispatcher
    private let transport: HTTPPushTransport
    private let gateway: RingGatewayClient?
    private let forwarder: PacketForwarder?
    private let gatewayAddress: String
    private let logger: Logger

    private init(
        _ configuration: DriveConfiguration, directory: RingDirectory, policy: PushAddressPolicy, setup: RingSetup,
        transport: HTTPPushTransport, gateway: RingGatewayClient?, mail: MailOffice?, engine: TaskEngine, surroundings: Surroundings,
        logger: Logger
    ) {
        let server = surroundings.newIdentifier()
        let people = RingPeople(database: engine.database)
        self.directory = directory
        self.policy = policy
        self.transport = transport
        self.gateway = gateway
        self.logger = logger
        gatewayAddress = configuration.ring.url ?? ""
        providers = setup.providers
        vapidPublicKey = setup.vapidPublicKey
        tellsConnections = configuration.ring.listen != nil
        presence = PresenceBoard(directory: directory, server: server, logger: logger)
        desk = RingDesk(
            directory: directory, presence: presence, people: people, mail: mail,
            audit: RingAudit(database: engine.database, surroundings: surroundings, logger: logger), logger: logger)
        dispatcher = RingDispatcher(database: engine.database, directory: directory, logger: logger) { pushes, sql in
            let now = surroundings.now()
            _ = try engine.enqueue(try pushes.map { try PushTask.task($0, now: now) }, in: sql)
        }
        forwarder = gateway.map {
            PacketForwarder(
                directory: directory, gateway: $0, server: server, localIssuer: TokenIssuer.issuer,
                isAlone: engine.database.dialect == .sqlite, logger: logger)
        }
        let alarm = PushAlarm(logger: logger)
        var handlers: [any TaskHandler] = [PushTask(directory: directory, providers: setup.providers, alarm: alarm)]
        // Where there is none, their tasks are left to other servers.
        if let gateway {
            handlers.append(GatewayPushTask(gateway: gateway, users: { try await people.name(of: $0) }, alarm: alarm))
        }
        if let mail { handlers.append(mail.handler) }
        engine.register(handlers)
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
            let gateway = try RingSetup.gateway(configuration, eventLoopGroup: eventLoopGroup)
            let directory = RingDirectory(
                database: database,
                seal: SecretSeal(masterKey: masterKey.bytes, keyId: masterKey.id, purpose: "ring devices", surroundings: surroundings),
                policy: policy, hasGateway: gateway != nil, surroundings: surroundings)
            return RingService(
                configuration, directory: directory, policy: policy, setup: setup, transport: transport, gateway: gateway,
                mail: try MailOffice(configuration, engine: engine, surroundings: surroundings, logger: logger), engine: engine,
                surroundings: surroundings, logger: logger)
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

    /// Where a client counts as being that has signed in over a WebSocket.
    func places(device: String?) -> [PresencePlace] {
        guard tellsConnections else { return [] }
        return [.connected] + (device.map { [.device($0)] } ?? [])
    }

    /// What a client is to be told that calls itself a device which its account does not have: what is for that alone will not come.
    func warning(device: String?, of account: UUID) async throws -> String? {
        guard let device, let id = UUID(uuidString: device), try await directory.accounts(ofDevices: [id])[id] != account else {
            return nil
        }
        return "No device of this account has the id \(device); register it again."
    }

    func run() async throws {
        try await cancelWhenGracefulShutdown { [dispatcher, presence, forwarder, gatewayAddress, desk, logger] in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await dispatcher.run() }
                group.addTask { await presence.run() }
                group.addTask { await desk.audit.run() }
                if let forwarder {
                    logger.notice("events and notifications go to a RingService too", metadata: ["address": "\(gatewayAddress)"])
                    group.addTask { try await forwarder.run() }
                }
                try await group.waitForAll()
            }
        }
    }

    /// The connection to the RingService of another program; nil where there is none. It begins before the tasks and the events that
    /// go over it, and ends after them.
    var gatewayConnection: (any Service)? { gateway.map { GatewayConnection(client: $0) } }

    /// Closes the connections to the push services; after the last task has ended.
    func shutdown() async { await transport.shutdown() }
}

private struct GatewayConnection: Service {
    let client: RingGatewayClient

    func run() async throws {
        try await StoppedService.run { [client] in
            try await client.run()
        } stop: { [client] in
            client.stop()
        }
    }
}

/// The RingService that other programs find at an address of its own.
struct RingListener: Service {
    private let place: ListeningPlace
    private let server: RingServer
    private let certificates: RingCertificates?
    private let logger: Logger
    /// Given something once the port is bound: nothing is announced before all are.
    let bound = Handover<Void>()

    /// Nil where it is not served.
    ///
    /// - Throws: `SecretError` where the certificate or its key cannot be used.
    init?(_ configuration: DriveConfiguration, desk: RingDesk, logger: Logger) throws {
        guard let listen = configuration.ring.listen, let place = ListeningPlace(listen), let token = configuration.ring.serviceToken else {
            return nil
        }
        self.place = place
        self.logger = logger
        let refusals = Mutex(SparseLog())
        do {
            if let certificate = configuration.tls.certificateFile, let key = configuration.tls.keyFile {
                certificates = try RingCertificates(certificatePath: certificate, keyPath: key)
            } else {
                certificates = nil
            }
            server = try RingServer(
                host: place.host, port: place.port, token: token.value, certificates: certificates, office: desk,
                eventLoopGroup: .singletonMultiThreadedEventLoopGroup
            ) { address in
                guard let unsaid = refusals.withLock({ $0.say(at: .now) }) else { return }
                logger.warning(
                    "a connection to the RingService was refused: there are too many, in all or from its address",
                    metadata: ["address": "\(address ?? "")", "before": "\(unsaid)"])
            }
        } catch {
            throw SecretError(message: "tls.certificateFile, tls.keyFile: they cannot be used for ring.listen: \(error)")
        }
    }

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            if let certificates {
                group.addTask { [logger] in
                    await certificates.run { error in
                        logger.error(
                            "the certificate of the RingService cannot be used; the old one stays", metadata: ["error": "\(error)"])
                    }
                }
            }
            defer { group.cancelAll() }
            try await StoppedService.run { [self] in
                try await serve()
            } stop: { [server] in
                server.stop()
            }
        }
    }

    private func serve() async throws {
        do {
            try await server.run { [bound, logger] address in
                logger.info("RingService listening", metadata: ["address": "\(address)"])
                bound.give(())
            }
        } catch {
            // The process ends for another reason.
            if Task.isCancelled { return }
            let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
            throw ListenError(
                description:
                    "cannot listen on \(place.host), port \(place.port), for the RingService: \(reason); "
                    + "choose another place with RING_LISTEN (ring.listen)")
        }
    }
}
