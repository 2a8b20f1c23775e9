import DriveDatabase
import DriveModel
import DriveStorage
import DriveTasks
import DriveUploads
import Foundation
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import UnixSignals

/// The one composition root of the server.
package enum DriveApplication {
    /// Serves until SIGTERM or SIGINT, then drains within the deadline.
    ///
    /// - Parameter ready: told the address, and the sign-in token where this start made the first account.
    package static func serve(
        _ configuration: DriveConfiguration, ready: @escaping @Sendable (_ address: String, _ firstToken: String?) -> Void
    ) async throws {
        let logger = Logger(label: "Drive.Server")
        for warning in configuration.warnings { logger.warning("\(warning)") }
        let faults = try Faults(specification: configuration.faults ?? "")
        let administration = try await AdministrationContext.open(configuration, faults: faults, logger: logger)
        let fetcher = HTTPKeySetFetcher(eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
        var storage: StorageContext?
        var ring: RingService?
        let outcome: Result<Void, any Error>
        do {
            let opened = try await StorageContext.open(configuration, administration: administration, faults: faults, exclusive: true)
            storage = opened
            let opening = try await RingService.open(
                configuration, database: administration.database, masterKey: administration.masterKey, engine: opened.tasks.engine,
                eventLoopGroup: MultiThreadedEventLoopGroup.singleton, surroundings: administration.surroundings,
                logger: Logger(label: "Drive.Ring"))
            ring = opening
            let services = try await services(
                configuration, administration: administration, storage: opened, ring: opening, fetcher: fetcher, logger: logger)
            let recovered = try await services.housekeeping.recover()
            if recovered != .nothing { logger.notice("settled what an earlier stop left", metadata: ["report": "\(recovered)"]) }
            try await prepareTasks(services, logger: logger)
            let running = try serviceGroup(services, configuration: configuration, logger: logger) { address in
                // After the port is ours: a token made before a start that fails would be lost.
                do {
                    ready(address, try await FirstAccount.prepare(administration, configuration: configuration))
                } catch {
                    logger.error("the first account could not be made; use `drive token create`", metadata: ["error": "\(error)"])
                    ready(address, nil)
                }
            }
            try await running.run()
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        // In the order of dependence, whether it ran or did not come up.
        storage?.tasks.stop()
        await storage?.uploads.stop()
        try? await fetcher.shutdown()
        await ring?.shutdown()
        await administration.database.close()
        await storage?.close()
        try outcome.get()
    }

    /// The server's own tasks, and what a crash left of others.
    private static func prepareTasks(_ services: Services, logger: Logger) async throws {
        let engine = services.tasks.engine
        engine.register(HousekeepingTask.handlers(services.housekeeping))
        // SQLite is one process's; over PostgreSQL other servers may run, whose tasks are theirs.
        if services.database.dialect == .sqlite {
            let orphans = try await engine.takeBackOrphans()
            if orphans > 0 { logger.notice("tasks of an earlier run go on", metadata: ["tasks": "\(orphans)"]) }
        }
        try await HousekeepingTask.schedule(in: engine, every: services.configuration.uploads.cleanupInterval)
    }

    private static func services(
        _ configuration: DriveConfiguration, administration: AdministrationContext, storage: StorageContext, ring: RingService,
        fetcher: HTTPKeySetFetcher, logger: Logger
    ) async throws -> Services {
        Services(
            configuration: configuration, database: administration.database, io: storage.io, pools: storage.pools, uploads: storage.uploads,
            tasks: storage.tasks, files: FileService(database: administration.database, pools: storage.pools),
            bundles: BundleService(database: administration.database),
            housekeeping: Housekeeping(uploads: storage.uploads, logger: Logger(label: "Drive.Housekeeping")),
            live: LiveService(
                database: administration.database, tasks: storage.tasks, surroundings: administration.surroundings,
                logger: Logger(label: "Drive.Events")),
            ring: ring,
            accounts: administration.accounts, audit: administration.audit, issuer: administration.issuer,
            verifier: try await TokenVerifier(
                signingKey: administration.signingKey, settings: configuration.access, directory: administration.accounts, fetcher: fetcher),
            limiter: RateLimiter(limits: configuration.rateLimits),
            trustedProxies: configuration.server.trustedProxies.compactMap { CIDR($0) }, surroundings: administration.surroundings,
            logger: logger)
    }

    private static func serviceGroup(
        _ services: Services, configuration: DriveConfiguration, logger: Logger, ready: @escaping @Sendable (String) async -> Void
    ) throws -> ServiceGroup {
        let policy = configuration.connectionPolicy
        let registry = ConnectionRegistry()
        let host = configuration.server.host
        var tls: TLSContextSource?
        if let certificate = configuration.tls.certificateFile, let key = configuration.tls.keyFile {
            tls = try TLSContextSource(certificatePath: certificate, keyPath: key, logger: logger)
        }
        let scheme = tls == nil ? "http" : "https"
        // The redirect leads to the port that was bound, so it is bound second; nothing is announced before both are.
        let (mainPort, redirectPort) = (Handover<Int>(), Handover<Int>())
        let redirect = tls == nil ? nil : configuration.tls.redirectPort
        let ring = try RingListener(configuration, desk: services.ring.desk, logger: Logger(label: "Drive.Ring"))
        let main = Listener(
            address: ListeningAddress(
                purpose: scheme.uppercased(), host: host, port: configuration.server.port, portSettings: "--port (DRIVE_PORT, server.port)"),
            responder: RouteRegistration.router(services: services).buildResponder(), policy: policy, registry: registry, tls: tls,
            upgrade: LiveEntrance.upgrade(services: services), logger: logger
        ) { port in
            mainPort.give(port)
            // Nil: the other port failed, or the process is to stop.
            if redirect != nil, await redirectPort.taken() == nil { return }
            if let ring, await ring.bound.taken() == nil { return }
            let address = "\(scheme)://\(host.contains(":") ? "[\(host)]" : host):\(port)"
            logger.info("listening", metadata: ["address": "\(address)"])
            await ready(address)
        }
        // Stopped in the opposite order: first no more requests, then no more tasks.
        let worker = TaskWorker(
            engine: services.tasks.engine, queues: [TaskQueues.drive, TaskQueues.server], name: WorkerName.ofThisProcess("serve"))
        var parts: [any Service] = [
            services.ring, services.live, SessionClosing(services: services),
            HeldProgressService(held: services.tasks.engine.heldProgress), WorkerService(worker: worker), main,
        ]
        if let connection = services.ring.gatewayConnection { parts.insert(connection, at: 0) }
        if let ring { parts.append(ring) }
        if let redirect {
            let address = ListeningAddress(
                purpose: "the redirect to HTTPS", host: host, port: redirect, portSettings: "DRIVE_TLS_REDIRECT_PORT (tls.redirectPort)")
            parts.append(
                RedirectService(publicURL: configuration.server.publicURL, mainPort: mainPort) { responder in
                    Listener(
                        address: address, responder: responder, policy: policy, registry: registry, tls: nil, upgrade: nil, logger: logger
                    ) {
                        redirectPort.give($0)
                    }
                })
        }
        return ServiceGroup(
            configuration: ServiceGroupConfiguration(
                // One that fails stops the others as a signal does: cancelled ones would fill the log with errors of their own.
                services: parts.map { .init(service: $0, failureTerminationBehavior: .gracefullyShutdownGroup) },
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
    }
}

/// The plain-HTTP port, which opens once the port it leads to is known.
private struct RedirectService: Service {
    /// By which address clients come, behind a port mapping say, where the operator says so: they are sent there.
    let publicURL: String?
    let mainPort: Handover<Int>
    let listener: @Sendable (HTTPSRedirect) -> Listener<HTTPSRedirect>

    func run() async throws {
        guard let port = await mainPort.taken() else { return }
        let known = publicURL.flatMap { URLComponents(string: $0) }
        let publicPort = known?.host == nil ? port : known?.port ?? 443
        try await listener(HTTPSRedirect(port: publicPort, host: known?.host)).run()
    }
}

/// Closes uploads that nobody uses, now and then.
private struct SessionClosing: Service {
    let services: Services

    func run() async throws {
        let interval = max(.seconds(1), min(.seconds(60), services.configuration.uploads.cacheDuration))
        while true {
            do {
                try await cancelWhenGracefulShutdown { try await Task.sleep(for: interval) }
            } catch is CancellationError {
                return
            }
            let closed = services.housekeeping.closeIdleSessions()
            if closed > 0 { services.logger.debug("closed idle uploads", metadata: ["count": "\(closed)"]) }
        }
    }
}

/// The first start makes an administrator and a token for it, so that the first request can be made.
private enum FirstAccount {
    /// The token where this start made one.
    static func prepare(_ administration: AdministrationContext, configuration: DriveConfiguration) async throws -> String? {
        guard try await administration.accounts.accounts(limit: 1).isEmpty else { return nil }
        let account = try await administration.account(named: "admin", role: .admin)
        let issued = try await administration.issuer.issueAccountToken(
            accountId: account.id, name: "first start", role: .admin, lifetime: configuration.access.tokenTTL, by: .system)
        return issued.token
    }
}
