import DriveEvents
import DriveModel
import DriveUploads
import HTTPTypes
import Hummingbird

/// Creation: `POST /tus`.
enum TusCollection {
    @Sendable static func create(_ call: Call) async throws -> Response {
        try TusProtocol.checkVersion(call.request.headers)
        let caller = try call.caller
        let uploads = call.services.uploads
        let address = TusAddress(PublicAddress(call))
        let creation = try TusCreation(call.request.headers, maximum: call.services.configuration.uploads.maxFileSize)
        var stream = NewStream(face: UploadFace.tus)
        stream.length = creation.length
        stream.isPartial = creation.concatenation == .partial
        try stream.describe(by: creation.metadata, now: call.services.surroundings.now())
        if case .final(let references, let text) = creation.concatenation {
            var parts: [String] = []
            for reference in references { parts.append(try address.taskId(of: reference)) }
            return created(try await uploads.concatenate(parts, text: text, as: stream, by: caller), at: address)
        }
        let upload = try await uploads.createStream(stream, by: caller)
        guard creation.hasBody else { return created(upload, at: address) }
        return created(try await receive(creation, into: upload, call: call, caller: caller), at: address)
    }

    /// Creation with upload: the body is the beginning of the bytes, or all of them.
    private static func receive(_ creation: TusCreation, into upload: StreamUpload, call: Call, caller: Caller) async throws
        -> StreamUpload
    {
        let uploads = call.services.uploads
        do {
            return try await uploads.append(
                creation.checksum.body(of: call.request), to: upload.taskId,
                StreamAppend(over: UploadFace.tus, offset: 0, contentLength: creation.bodyLength, ending: .whenWhole), by: caller)
        } catch {
            // What came is kept, and the client is told where, if it still listens: it goes on with a PATCH.
            if (error as? DriveError)?.code == .bodyInterrupted { return try await uploads.stream(upload.taskId, by: caller) }
            // After an error there is no Location: nobody could ever go on with this upload. Where even ending it fails,
            // it goes when it expires.
            try? await uploads.terminateStream(upload.taskId, removingFile: true, by: caller)
            throw error
        }
    }

    private static func created(_ upload: StreamUpload, at address: TusAddress) -> Response {
        var headers = TusResource.position(of: upload)
        headers[.location] = address.location(of: upload.taskId)
        return Response(status: .created, headers: headers)
    }
}
