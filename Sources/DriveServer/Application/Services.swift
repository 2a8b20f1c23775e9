import DriveDatabase
import DriveModel
import DriveStorage
import DriveTasks
import DriveUploads
import Logging

/// The parts the routes work with, wired together once.
///
/// A reference: the configuration alone is more than a kilobyte, and each request and each WebSocket has the services at hand.
final class Services: Sendable {
    let configuration: DriveConfiguration
    let database: any Database
    let io: IOPool
    let pools: PoolDirectory
    let uploads: UploadService
    let tasks: TaskService
    let files: FileService
    let bundles: BundleService
    let housekeeping: Housekeeping
    let live: LiveService
    let ring: RingService
    let accounts: AccountDirectory
    let audit: AuditLog
    let issuer: TokenIssuer
    let verifier: TokenVerifier
    let limiter: RateLimiter
    let trustedProxies: [CIDR]
    let surroundings: Surroundings
    let logger: Logger

    init(
        configuration: DriveConfiguration, database: any Database, io: IOPool, pools: PoolDirectory, uploads: UploadService,
        tasks: TaskService, files: FileService, bundles: BundleService, housekeeping: Housekeeping, live: LiveService,
        ring: RingService, accounts: AccountDirectory, audit: AuditLog, issuer: TokenIssuer, verifier: TokenVerifier,
        limiter: RateLimiter, trustedProxies: [CIDR], surroundings: Surroundings, logger: Logger
    ) {
        self.configuration = configuration
        self.database = database
        self.io = io
        self.pools = pools
        self.uploads = uploads
        self.tasks = tasks
        self.files = files
        self.bundles = bundles
        self.housekeeping = housekeeping
        self.live = live
        self.ring = ring
        self.accounts = accounts
        self.audit = audit
        self.issuer = issuer
        self.verifier = verifier
        self.limiter = limiter
        self.trustedProxies = trustedProxies
        self.surroundings = surroundings
        self.logger = logger
    }
}
