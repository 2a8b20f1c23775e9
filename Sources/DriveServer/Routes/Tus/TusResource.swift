import DriveModel
import DriveUploads
import HTTPTypes
import Hummingbird

/// One upload: `HEAD`, `PATCH` and `DELETE` of `/tus/{taskId}`.
enum TusResource {
    @Sendable static func head(_ call: Call) async throws -> Response {
        try TusProtocol.checkVersion(call.request.headers, required: false)
        let upload = try await call.services.uploads.stream(try call.parameter("taskId"), over: UploadFace.tus, by: try call.caller)
        var headers = position(of: upload)
        if let length = upload.length {
            headers[TusFields.length] = String(length)
        } else {
            headers[TusFields.deferLength] = "1"
        }
        headers[TusFields.metadata] = upload.metadata
        headers[TusFields.concat] = upload.concatenation
        return Response(status: .ok, headers: headers)
    }

    @Sendable static func patch(_ call: Call) async throws -> Response {
        try TusProtocol.checkVersion(call.request.headers)
        let taskId = try call.parameter("taskId")
        let checksum: TusChecksum
        let append: StreamAppend
        do {
            (checksum, append) = try patchFields(call)
        } catch {
            // Whether there is an upload that takes bytes comes before what is wrong with the request.
            try await call.services.uploads.expectOpenStream(taskId, over: UploadFace.tus, by: try call.caller)
            throw error
        }
        let upload = try await call.services.uploads.append(checksum.body(of: call.request), to: taskId, append, by: try call.caller)
        return Response(status: .noContent, headers: position(of: upload))
    }

    private static func patchFields(_ call: Call) throws -> (TusChecksum, StreamAppend) {
        let headers = call.request.headers
        guard TusProtocol.isUploadBytes(headers) else { throw TusProtocol.unsupportedMediaType() }
        guard let offset = try TusFields.number(TusFields.offset, in: headers) else {
            throw TusFields.malformed(TusFields.offset, "A PATCH needs Upload-Offset.")
        }
        // Told with the first PATCH that knows it, where the creation deferred it; a client may repeat it.
        let length = try TusFields.number(TusFields.length, in: headers)
        try TusProtocol.checkLength(length, maximum: call.services.configuration.uploads.maxFileSize)
        return (
            try TusChecksum(headers),
            StreamAppend(over: UploadFace.tus, offset: offset, contentLength: headers.bodyLength, length: length, ending: .whenWhole)
        )
    }

    @Sendable static func delete(_ call: Call) async throws -> Response {
        try TusProtocol.checkVersion(call.request.headers)
        let (taskId, caller) = (try call.parameter("taskId"), try call.caller)
        // A session's token ends an unfinished upload alone.
        if isUploadSession(call.identity) { try await call.services.uploads.expectOpenStream(taskId, over: UploadFace.tus, by: caller) }
        try await call.services.uploads.terminateStream(taskId, over: UploadFace.tus, removingFile: true, by: caller)
        return Response(status: .noContent)
    }

    /// How far an upload is, and until when it waits for more.
    static func position(of upload: StreamUpload) -> HTTPFields {
        var headers = HTTPFields()
        switch upload.phase {
        case .receiving, .completed: headers[TusFields.offset] = String(upload.offset)
        // A final upload has no offset before it is put together.
        case .assembling: break
        }
        headers[TusFields.expires] = upload.expiresAt.map(date)
        return headers
    }

    static func date(_ time: Timestamp) -> String { "\(HTTPDate(secondsSince1970: time.seconds))" }

    /// A session's token is good for sending the bytes; the file they became is the account's.
    private static func isUploadSession(_ identity: Identity?) -> Bool {
        if case .uploadSession? = identity?.kind { return true }
        return false
    }
}
