import DriveEvents
import EngineTestSupport
import Synchronization

@testable import DriveUploads

/// A look at what is open in memory.
extension Instance {
    /// The upload's session where it is open, without opening it.
    func openSession(_ upload: Content.Upload) -> UploadSession? {
        let key = UploadService.SessionKey(taskId: upload.taskId, account: upload.owner.accountId)
        return uploads.sessions.withLock { sessions in
            if case .open(let session) = sessions[key] { session as? UploadSession } else { nil }
        }
    }

    /// Waits until nobody works with the upload: requests have ended, and so has what was started for it.
    func untilIdle(_ upload: Content.Upload) async throws {
        try await eventually { openSession(upload)?.isIdle ?? true }
    }
}
