import DriveCrypto
import DriveModel
import DriveUploads
import Hummingbird
import Logging

/// The body of one request on its way into an upload.
struct ResumableTransfer: Sendable {
    let call: Call
    let request: ResumableRequest
    let limits: ResumableLimits
    let interim: InterimResponses
    /// Those of `Content-Digest`.
    let digests: [ExpectedDigest]

    /// Throws `INVALID_REQUEST` for a malformed `Content-Digest`.
    init(_ call: Call, _ reply: ResumableReply) throws(DriveError) {
        self.call = call
        request = reply.request
        limits = reply.limits
        interim = InterimResponses(reply.request.version)
        digests = try RawBody.digests(call.request.headers)
    }

    /// Appends the body. Throws what `UploadService.append` throws, and `BODY_INTERRUPTED` for a fault that passes once the client
    /// knows that it may resume: it does so after a broken connection, not after a final response.
    ///
    /// - Parameter begun: called when the body is about to be read, and nobody else writes.
    func append(
        to taskId: String, at offset: Int64, length: Int64?, completes: Bool, begun: (@Sendable () async -> Void)? = nil
    ) async throws -> StreamUpload {
        var append = StreamAppend(
            over: UploadFace.resumable, offset: offset, contentLength: request.contentLength, length: length,
            ending: completes ? .atEnd : .never)
        append.limit = limits.maximumAppend
        append.begun = begun
        if request.version.reportsProgress { append.progress = { [interim] in await interim.report(offset: $0) } }
        do {
            return try await call.services.uploads.append(
                StreamedBody(call.request, digests: digests), to: taskId, append, by: try call.caller)
        } catch {
            let mapped = ErrorMapping.driveError(error)
            // Who appends, or was told where to, comes back after a broken connection; after a final response it does not.
            let knowsUpload = interim.hasSent || call.request.method == .patch && request.version.number != nil
            guard knowsUpload, Self.passes(mapped), mapped.code != .bodyInterrupted else { throw error }
            call.logger.warning(
                "an upload's request is cut off, to be resumed", metadata: ["requestId": "\(call.requestId)", "error": "\(error)"])
            throw DriveError(.bodyInterrupted, "The request could not go on; what came is kept.")
        }
    }

    private static func passes(_ error: DriveError) -> Bool {
        [.unavailable, .timedOut, .internalFailure].contains(error.code.category)
    }
}
