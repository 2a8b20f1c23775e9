import DriveModel
import Foundation

/// What must be remembered of an upload so that another process can go on with it. Never an account's token.
struct UploadJournal: Codable, Hashable, Sendable {
    /// Of this layout.
    var version = 1
    var server: String
    /// Absolute.
    var path: String
    var file: FileIdentity
    /// As it was sent, or is about to be: the same request and key give the same upload.
    var request: CreateUploadRequest
    var idempotencyKey: String
    /// nil until the server answered.
    var taskId: String?
    /// Bytes, as the server decided.
    var chunkSize: Int64?
    /// Good for this upload alone.
    var session = UploadSession()

    /// What makes two calls the same upload, as the name of its journal.
    static func name(server: String, path: String, request: CreateUploadRequest) -> String {
        let parts = [server, path, request.fileName, request.poolId?.uuidString ?? "", request.bundleId?.uuidString ?? ""]
        return hashedName(parts.joined(separator: "\u{0}"))
    }
}
