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
    /// When this upload began; nil in journals of older programs.
    var startedAt: Timestamp?
    /// nil until the server answered.
    var taskId: String?
    /// Bytes, as the server decided.
    var chunkSize: Int64?
    /// Good for this upload alone.
    var session = UploadSession()

    /// Which wish of another request for the same file this upload does not fulfil, in words; nil where it fulfils all.
    ///
    /// A span such as 30d counts from each call, so that the time since the first one makes no difference.
    func difference(from other: CreateUploadRequest, now: Timestamp) -> String? {
        if request.contentType != other.contentType { return "the media type \(request.contentType ?? "of its name")" }
        guard let expiry = request.expiredAt else { return other.expiredAt == nil ? nil : "no expiry" }
        let mine = "the expiry \(expiry)"
        guard let wished = other.expiredAt else { return mine }
        let age = startedAt.map { max(0, now.microseconds - $0.microseconds) } ?? .max / 2
        return (-60_000_000...age + 60_000_000).contains(wished.microseconds - expiry.microseconds) ? nil : mine
    }

    /// What makes two calls the same upload, as the name of its journal.
    static func name(server: String, path: String, request: CreateUploadRequest) -> String {
        let parts = [server, path, request.fileName, request.poolId?.uuidString ?? "", request.bundleId?.uuidString ?? ""]
        return hashedName(parts.joined(separator: "\u{0}"))
    }
}
