import DriveDatabase
import DriveModel
import DriveStorage
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
        let outcome: Result<Void, any Error>
        do {
            let opened = try await StorageContext.open(configuration, administration: administration, faults: faults, exclusive: true)
            storage = opened
            let services = try await services(
                configuration, administration: administration, storage: opened, fetcher: fetcher, logger: logger)
            let recovered = try await services.housekeeping.recover()
            if recovered != .nothing { logger.notice("settled what an earlier stop left", metadata: ["report": "\(recovered)"]) }
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
        } catch let error as IOError {
            let reason = String(cString: strerror(error.errnoCode))
            outcome = .failure(
                DriveError(
                    .invalidRequest,
                    "cannot listen on \(configuration.server.host), port \(configuration.server.port): \(reason); choose another with --port"
                ))
        } catch {
            outcome = .failure(error)
        }
        // In the order of dependence, whether it ran or did not come up.
        try? await fetcher.shutdown()
        await administration.database.close()
        await storage?.close()
        try outcome.get()
    }

    private static func services(
        _ configuration: DriveConfiguration, administration: AdministrationContext, storage: StorageContext, fetcher: HTTPKeySetFetcher,
        logger: Logger
    ) async throws -> Services {
        Services(
            configuration: configuration, database: administration.database, io: storage.io, pools: storage.pools, uploads: storage.uploads,
            files: FileService(database: administration.database, pools: storage.pools),
            bundles: BundleService(database: administration.database),
            housekeeping: Housekeeping(uploads: storage.uploads, logger: Logger(label: "Drive.Housekeeping")),
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
        var tls: TLSContextSource?
        if let certificate = configuration.tls.certificateFile, let key = configuration.tls.keyFile {
            tls = try TLSContextSource(certificatePath: certificate, keyPath: key, logger: logger)
        }
        let scheme = tls == nil ? "http" : "https"
        let host = configuration.server.host
        let application = Application(
            responder: RouteRegistration.router(services: services).buildResponder(),
            server: .drive(policy: policy, tls: tls, registry: registry),
            configuration: ApplicationConfiguration(address: .hostname(host, port: configuration.server.port), serverName: nil),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? configuration.server.port
                await ready("\(scheme)://\(host.contains(":") ? "[\(host)]" : host):\(port)")
            },
            logger: logger)
        var parts: [any Service] = [HousekeepingService(services: services), application]
        if tls != nil, let port = configuration.tls.redirectPort {
            // Where the operator says by which address clients come, behind a port mapping say, they are sent there.
            let address = configuration.server.publicURL.flatMap { URLComponents(string: $0) }
            let publicPort = address?.host == nil ? configuration.server.port : address?.port ?? 443
            parts.append(
                Application(
                    responder: HTTPSRedirect(port: publicPort, host: address?.host),
                    server: .drive(policy: policy, registry: registry),
                    configuration: ApplicationConfiguration(address: .hostname(host, port: port), serverName: nil), logger: logger))
        }
        return ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: parts.map { .init(service: $0) }, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
    }
}

/// Housekeeping by the clock, until the task engine takes it over.
private struct HousekeepingService: Service {
    let services: Services

    func run() async throws {
        let interval = services.configuration.uploads.cleanupInterval
        while true {
            do {
                try await cancelWhenGracefulShutdown { try await Task.sleep(for: interval) }
            } catch is CancellationError {
                return
            }
            let report = await services.housekeeping.sweep()
            if report != .nothing { services.logger.info("housekeeping", metadata: ["report": "\(report)"]) }
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
