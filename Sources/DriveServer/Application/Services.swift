import DriveDatabase
import DriveModel
import DriveStorage
import DriveTasks
import DriveUploads
import Logging

/// The parts the routes work with, wired together once.
struct Services: Sendable {
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
}
