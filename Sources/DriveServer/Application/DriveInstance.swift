import DriveDatabase
import DriveModel
import DriveStorage
import DriveTasks
import DriveUploads
import Foundation
import Logging

/// The database and the accounts of a data folder: what the command line's administration needs, beside a running
/// server or without one.
package struct AdministrationContext: Sendable {
    package let database: any Database
    package let accounts: AccountDirectory
    package let issuer: TokenIssuer
    package let audit: AuditLog
    package let surroundings: Surroundings
    let signingKey: SigningKey
    let masterKey: MasterKey

    /// Opens the database, brings its schema up to date, and reads the secrets, making them at the first start.
    package static func open(
        _ configuration: DriveConfiguration, faults: Faults = .none, logger: Logger
    ) async throws -> AdministrationContext {
        let folder = configuration.dataFolder
        do {
            try FileSystem.makeFolder(folder)
        } catch {
            throw DriveError(.invalidRequest, "the data folder \(folder) cannot be made: \(error)")
        }
        let signingKey = try SigningKey.loadOrCreate(dataFolder: folder)
        let masterKey = try MasterKey.load(
            base64: configuration.access.masterKey, file: configuration.access.masterKeyFile, dataFolder: folder)
        let database: any Database
        if let url = configuration.database.url {
            database = try PostgresDatabase(
                connectionString: url.value, maximumConnections: configuration.database.poolSize, logger: Logger(label: "Drive.Database"),
                faults: faults)
        } else {
            database = try SQLiteDatabase(path: folder + "/drive.db", logger: Logger(label: "Drive.Database"), faults: faults)
        }
        try await Schema.migrate(database)
        let surroundings = Surroundings.system
        let audit = AuditLog(surroundings: surroundings)
        return AdministrationContext(
            database: database, accounts: AccountDirectory(database: database, audit: audit, surroundings: surroundings),
            issuer: TokenIssuer(
                key: signingKey, audience: configuration.access.tokenAudience, database: database, audit: audit, surroundings: surroundings),
            audit: audit, surroundings: surroundings, signingKey: signingKey, masterKey: masterKey)
    }

    /// The account of this name, made where it is missing; an existing one takes the role asked for where that is more.
    package func account(named name: String, role: AccountRole) async throws -> Account {
        if let account = try await accounts.account(named: name) {
            if role == .admin, account.role != .admin {
                return try await accounts.setRole(.admin, account: account.id, by: .system)
            }
            return account
        }
        return try await accounts.createAccount(name: name, role: role, by: .system)
    }
}

/// Storage beside the administration: pools, uploads, housekeeping.
package struct StorageContext: Sendable {
    let io: IOPool
    package let pools: PoolDirectory
    let uploads: UploadService
    let tasks: TaskService

    /// - Parameter exclusive: false for a look beside the process that owns the pools.
    package static func open(
        _ configuration: DriveConfiguration, administration: AdministrationContext, faults: Faults, exclusive: Bool
    ) async throws -> StorageContext {
        let io = IOPool(threads: configuration.threads.ioCount(processors: ProcessInfo.processInfo.activeProcessorCount))
        let pools = PoolDirectory(
            database: administration.database, io: io, faults: faults, surroundings: administration.surroundings,
            dataFolder: configuration.dataFolder, staging: configuration.storage.uploadsPath,
            directFrom: configuration.storage.directIOFrom, exclusive: exclusive, logger: Logger(label: "Drive.Storage"))
        do {
            try await pools.start(preferred: configuration.storage.preferredRemote)
        } catch {
            await io.close()
            throw error
        }
        var settings = configuration.uploadSettings
        // Half of the descriptors are for connections, the database and downloads; a large upload has two.
        settings.maximumOpenSessions = max(16, min(4096, FileDescriptorLimit.raise() / 4))
        let engine = TaskEngine(
            database: administration.database, settings: configuration.taskSettings, surroundings: administration.surroundings,
            logger: Logger(label: "Drive.Tasks"))
        let uploads = UploadService(
            database: administration.database, pools: pools, io: io, settings: settings,
            surroundings: administration.surroundings, tasks: engine, logger: Logger(label: "Drive.Storage.Uploads"))
        engine.register(FileTasks.handlers(uploads: uploads))
        return StorageContext(io: io, pools: pools, uploads: uploads, tasks: TaskService(engine: engine, uploads: uploads))
    }

    /// `drive check`.
    package func check(repair: Bool, database: any Database) async throws -> [Finding] {
        if repair { _ = try await Housekeeping(uploads: uploads, logger: Logger(label: "Drive.Storage")).recover() }
        return try await InvariantChecker(database: database, pools: pools, io: io).run(repair: repair)
    }

    package func close() async {
        await io.close()
    }
}

extension DriveConfiguration {
    /// The uploads' part of the configuration, as the upload core takes it.
    var uploadSettings: UploadSettings {
        var settings = UploadSettings()
        settings.defaultChunkSize = uploads.defaultChunkSize
        settings.maximumChunkSize = uploads.maxChunkSize
        settings.maximumFileSize = uploads.maxFileSize
        settings.maximumDirectSize = uploads.directLimit
        settings.maximumOpenPerAccount = Int64(uploads.maxOpenPerAccount)
        settings.maximumOpenBytesPerAccount = uploads.maxOpenBytesPerAccount == 0 ? nil : uploads.maxOpenBytesPerAccount
        settings.staleAfter = uploads.staleThreshold
        settings.maximumAge = uploads.defaultExpiry
        settings.cacheDuration = uploads.cacheDuration
        settings.sessionLifetime = uploads.sessionLifetime
        settings.stallTime = uploads.claimStall
        settings.idempotencyLifetime = uploads.idempotencyLifetime
        settings.blobGracePeriod = storage.blobGracePeriod
        settings.taskRetention = tasks.retention
        settings.notificationRetention = ring.retention
        settings.defaultQuota = quota.defaultBytes
        settings.legacyUploadEvents = uploads.legacyEvents
        return settings
    }

    /// The tasks' part of the configuration, as the engine takes it.
    var taskSettings: TaskSettings {
        var settings = TaskSettings()
        settings.slots = tasks.slots
        settings.limits.perAccount = tasks.maxRunningPerAccount == 0 ? nil : tasks.maxRunningPerAccount
        settings.limits.perPool = tasks.maxRunningPerPool == 0 ? nil : tasks.maxRunningPerPool
        settings.drainTime = tasks.drainTime
        settings.leasePatience = tasks.leasePatience
        // Two beats may be lost.
        settings.heartbeat = tasks.leasePatience / 3
        return settings
    }

    var connectionPolicy: ConnectionPolicy {
        var policy = ConnectionPolicy()
        policy.headTimeout = connections.headTimeout
        policy.idleTimeout = connections.idleTimeout
        policy.bodyStallTimeout = connections.bodyStallTimeout
        policy.minimumBodyRate = connections.minimumBodyRate
        policy.writeStallTimeout = connections.writeStallTimeout
        policy.gracefulStopDeadline = connections.stopDeadline
        policy.maxConnections = connections.maximum
        policy.maxConnectionsPerAddress = connections.maximumPerAddress == 0 ? nil : connections.maximumPerAddress
        policy.receiveBufferSize = connections.receiveBuffer
        return policy
    }
}
