import DriveModel
import Synchronization
import Foundation

/// An upload that is open in this process, however its bytes come.
protocol OpenUpload: AnyObject, Sendable {
    var taskId: String { get }
    var accountId: UUID { get }
    /// Whether nobody works with it, so that it may be closed and opened again from its rows.
    var isIdle: Bool { get }
    var lastUse: ContinuousClock.Instant { get }
    func beginUse()
    func endUse()
    /// Bytes per second over the last ten seconds.
    var speed: Double { get }
    /// Bytes the whole file's hash has reached.
    var verifiedBytes: Int64 { get }
    /// Takes no more bytes, and returns when no write is under way.
    func close(as status: TaskStatus) async
}

extension UploadService {
    /// Closes uploads nobody used for a while; they open again from their rows.
    func closeIdleSessions() -> Int {
        let cutoff = ContinuousClock.now - settings.cacheDuration
        return sessions.withLock { sessions in
            let idle = sessions.filter { entry in
                guard case .open(let session) = entry.value else { return false }
                return session.isIdle && session.lastUse < cutoff
            }
            for key in idle.keys { sessions[key] = nil }
            return idle.count
        }
    }
}
