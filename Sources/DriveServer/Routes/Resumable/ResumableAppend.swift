import DriveModel
import DriveUploads
import Hummingbird

/// More bytes for an upload (-11, section 4.4).
struct ResumableAppend: Sendable {
    private let call: Call
    private let reply: ResumableReply
    private var request: ResumableRequest { reply.request }
    private var version: InteropVersion { request.version }

    init(_ call: Call) {
        self.call = call
        reply = ResumableReply(call)
    }

    func answer() async throws -> Response {
        let taskId = try call.parameter("taskId")
        let plan: (offset: Int64, length: Int64?)
        do {
            plan = try checked()
        } catch {
            throw try await refusal(error, before: taskId)
        }
        if request.isEmpty, !version.replaysCompletion, try await state(of: taskId).isComplete {
            throw try await afterCompletion(taskId)
        }
        do {
            let transfer = try ResumableTransfer(call, reply)
            let upload = try await transfer.append(
                to: taskId, at: plan.offset, length: plan.length, completes: request.completesAppend)
            return try reply.appended(upload, call: call)
        } catch let error as DriveError {
            throw try await refusal(error, after: taskId)
        }
    }

    /// What can be told from the request alone.
    private func checked() throws(DriveError) -> (offset: Int64, length: Int64?) {
        if version.requiresMediaType, !request.isPartialUpload {
            throw DriveError(
                .unsupportedMediaType, "Bytes are added as \(ResumableField.partialUpload).", details: ["rule": "contentType"])
        }
        guard let offset = request.offset else {
            throw DriveError(
                .invalidRequest, "Upload-Offset must say, as a whole number, where the bytes belong.", details: ["rule": "Upload-Offset"])
        }
        let length = try request.length(from: offset, completes: request.completesAppend)
        try reply.limits.check(contentLength: request.contentLength)
        return (offset, length)
    }

    private func state(of taskId: String) async throws -> StreamUpload {
        try await call.services.uploads.stream(taskId, over: UploadFace.resumable, by: try call.caller)
    }

    /// A refusal of the request alone. That there is no such upload, that it is complete, and a wrong offset go before what is wrong
    /// with lengths and limits.
    private func refusal(_ error: DriveError, before taskId: String) async throws -> DriveError {
        let upload = try await state(of: taskId)
        if error.code != .unsupportedMediaType {
            if upload.isComplete { return try await afterCompletion(taskId) }
            if let offset = request.offset, offset != upload.offset { return mismatch(upload.offset) }
        }
        return error.at(upload)
    }

    /// A refusal by the core, with the offset that holds now.
    private func refusal(_ error: DriveError, after taskId: String) async throws -> DriveError {
        switch error.code {
        case .uploadCompleted: return try await afterCompletion(taskId)
        case .lengthExceeded where request.contentLength == nil && version.invalidatesOverlong:
            // Bytes ran past the length: nobody can tell which ones are meant (-11, section 4.4.2).
            try? await call.services.uploads.terminateStream(taskId, removingFile: false, by: try call.caller)
            return error
        case .lengthMismatch, .lengthExceeded, .checksumMismatch, .payloadTooLarge, .invalidRequest:
            guard let upload = try? await state(of: taskId) else { return error }
            return error.at(upload)
        default: return error
        }
    }

    /// Why a complete upload takes no more.
    private func afterCompletion(_ taskId: String) async throws -> DriveError {
        let upload = try await state(of: taskId)
        if version.comparesOffsetOfComplete, request.offset != upload.offset { return mismatch(upload.offset) }
        if version.takesExcessForLength, !request.isEmpty {
            return DriveError(.lengthMismatch, "The upload is complete; more bytes do not agree with its length.").at(upload)
        }
        return DriveError(.uploadCompleted, "The upload is complete and takes nothing more.").at(upload)
    }

    private func mismatch(_ offset: Int64) -> DriveError {
        DriveError(
            .offsetMismatch, "The upload has \(offset) bytes; go on from there.", details: ["offset": .integer(offset)])
    }
}

extension DriveError {
    /// The error with the offset of the upload that it is about.
    fileprivate func at(_ upload: StreamUpload) -> DriveError {
        var error = self
        error.details["offset"] = .integer(upload.offset)
        return error
    }
}
