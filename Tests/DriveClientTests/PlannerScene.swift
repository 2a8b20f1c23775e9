import DriveModel
import Foundation

@testable import DriveClient

/// Uploads of chunks of one byte for the planner, with a minute's patience; and answers for it.
enum PlannerScene {
    static let file = CloudFile(
        id: "f", name: "n", size: 5, contentType: "t", hash: "h", poolId: UUID(), createdAt: Timestamp(seconds: 0),
        updatedAt: Timestamp(seconds: 0))

    static func planner(_ count: Int = 5, stored: [Int] = [], parallel: Int = 2) -> UploadPlanner {
        UploadPlanner(
            plan: ChunkPlan(fileSize: Int64(count), chunkSize: 1), taskId: "t", stored: stored, parallel: parallel,
            policy: RetryPolicy(base: .seconds(1), cap: .seconds(8), patience: .seconds(60)))
    }

    static func error(
        _ status: Int, _ code: String = "X", _ details: [String: JSONValue] = [:], retryAfter: Int? = nil
    ) -> DriveClientError {
        .server(ErrorReply(code: code, message: "m", status: status, details: details, requestId: nil), retryAfter: retryAfter)
    }

    /// What the server says when it is asked how the upload stands.
    static func refreshed(_ status: TaskStatus, _ stored: [Int] = []) -> UploadPlanner.Event {
        .refreshed(
            ResumeInformation(
                taskId: "t", fileName: "n", fileSize: 5, contentType: "", hash: nil, chunkSize: 1, chunksCount: 5,
                uploadedChunks: stored, status: status, fileId: nil, sessionToken: nil, sessionExpiresAt: nil))
    }
}
