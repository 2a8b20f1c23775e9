import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import DriveTasks
import Foundation
import Logging
import Synchronization

/// What a sweep did.
public struct SweepReport: Codable, Hashable, Sendable {
    public var expiredUploads = 0
    public var expiredFiles = 0
    public var expiredBundles = 0
    public var collectedBlobs = 0
    public var settledIntents = 0
    public var removedStaging = 0
    public var prunedRows = 0
    public var closedSessions = 0

    /// A sweep that found all in order.
    public static let nothing = SweepReport()

    mutating func add(_ count: Int, of step: Housekeeping.Step) {
        switch step {
        case .expireUploads: expiredUploads += count
        case .expireBundles: expiredBundles += count
        case .expireFiles: expiredFiles += count
        case .collectBlobs: collectedBlobs += count
        case .settleIntents: settledIntents += count
        case .removeStaging: removedStaging += count
        case .resumeConcatenations: break
        case .removeOldRows: prunedRows += count
        }
    }
}

/// Expiry, collection and clean-up. Each step is small, repeatable, and safe to stop anywhere.
public final class Housekeeping: Sendable {
    /// Rows taken in one transaction, so that nobody waits long for the writer.
    static let batch = 200

    let uploads: UploadService
    let surroundings: Surroundings
    private let logger: Logger
    private let steady: @Sendable () -> ContinuousClock.Instant
    /// The start, by both clocks.
    private let start: (wall: Timestamp, steady: ContinuousClock.Instant)
    /// Staging files that had no upload at the last sweep.
    let suspects = Mutex<Set<String>>([])

    /// - Parameter steady: a clock that nobody sets, to tell a jump of the wall clock from time that passed.
    public init(uploads: UploadService, logger: Logger, steady: @escaping @Sendable () -> ContinuousClock.Instant = { .now }) {
        self.uploads = uploads
        self.surroundings = uploads.surroundings
        self.logger = logger
        self.steady = steady
        start = (uploads.surroundings.now(), steady())
    }

    /// The time of day, but never further ahead than the time that passed since the start allows: a wall clock that
    /// jumps forward expires nothing. One that jumps back delays.
    func now() -> Timestamp {
        min(surroundings.now(), start.wall + (steady() - start.steady) + .seconds(300))
    }

    /// Before the first request: what a crash left is settled. The process owns its pools' folders by then.
    public func recover() async throws -> SweepReport {
        var report = SweepReport()
        try await endBrokenDirectUploads()
        try await reclaimUnpublished()
        report.settledIntents = try await settleIntents()
        report.removedStaging = try await removeOrphanedStaging()
        try await uploads.resumeAssemblies()
        return report
    }

    /// What housekeeping consists of; each is a recurring task of its own.
    public enum Step: String, CaseIterable, Sendable {
        case expireUploads = "expire-uploads"
        case expireBundles = "expire-bundles"
        case expireFiles = "expire-files"
        case collectBlobs = "collect-blobs"
        case settleIntents = "settle-intents"
        case removeStaging = "remove-staging"
        case resumeConcatenations = "resume-concatenations"
        case removeOldRows = "remove-old-rows"

        var title: String {
            switch self {
            case .expireUploads: "Expire unfinished uploads"
            case .expireBundles: "Expire bundles"
            case .expireFiles: "Expire files"
            case .collectBlobs: "Remove bytes without a file"
            case .settleIntents: "Settle unfinished publications"
            case .removeStaging: "Remove orphaned temporary files"
            case .resumeConcatenations: "Resume concatenations"
            case .removeOldRows: "Remove old rows"
            }
        }
    }

    /// Runs one step; returns how many things it settled.
    public func run(_ step: Step) async throws -> Int {
        switch step {
        case .expireUploads: return try await expireUploads()
        case .expireBundles: return try await expireBundles()
        case .expireFiles: return try await expireFiles()
        case .collectBlobs: return try await collectBlobs()
        case .settleIntents: return try await settleIntents()
        case .removeStaging: return try await removeStagingOrphanedTwice()
        case .resumeConcatenations:
            try await uploads.resumeAssemblies()
            return 0
        case .removeOldRows: return try await pruneRows()
        }
    }

    /// Closes uploads nobody used for a while: a matter of this process's memory alone.
    public func closeIdleSessions() -> Int { uploads.closeIdleSessions() }

    /// One round of every step, at once. A failing step is logged and does not stop the others.
    public func sweep() async -> SweepReport {
        var report = SweepReport()
        for step in Step.allCases {
            do {
                report.add(try await run(step), of: step)
            } catch {
                logger.error(
                    "housekeeping failed and is tried again next time", metadata: ["step": "\(step.rawValue)", "error": "\(error)"])
            }
        }
        report.closedSessions = closeIdleSessions()
        return report
    }
}
