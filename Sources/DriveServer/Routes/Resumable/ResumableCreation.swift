import DriveModel
import DriveUploads
import HTTPTypes
import Hummingbird

/// A new upload with its first bytes, all of them often (-11, section 4.2). Without a completeness field: an ordinary upload of a file.
struct ResumableCreation: Sendable {
    private let call: Call
    private let reply: ResumableReply
    private var request: ResumableRequest { reply.request }

    init(_ call: Call) {
        self.call = call
        reply = ResumableReply(call)
    }

    func answer() async throws -> Response {
        try expectAnUpload()
        let transfer = try ResumableTransfer(call, reply)
        var new = try ResumableFile.describe(call, request)
        let completes = completesUpload
        let length = isResumable ? try request.length(from: 0, completes: completes) : request.contentLength
        try reply.limits.check(contentLength: request.contentLength)
        new.length = length
        let upload = try await call.services.uploads.createStream(new, by: try call.caller)
        let announcement = reply.announcement(of: upload)
        if !completes, request.isEmpty {
            if isResumable { await transfer.interim.announce(announcement) }
            return reply.created(upload, announcement: announcement)
        }
        let appended: StreamUpload
        do {
            // Told of once this request is the one that writes: whoever asks for the offset then ends it first, and no byte comes
            // behind the answer.
            appended = try await transfer.append(to: upload.taskId, at: 0, length: length, completes: completes) {
                if isResumable { await transfer.interim.announce(announcement) }
            }
        } catch {
            throw await reason(error, for: upload, interim: transfer.interim)
        }
        switch appended.phase {
        case .completed(let file) where !isResumable: return try reply.stored(file, call: call)
        case .completed(let file): return try reply.completed(file, of: appended, call: call)
        case .receiving, .assembling: return reply.created(appended, announcement: announcement)
        }
    }

    /// Refuses what would become a file that its sender did not mean.
    private func expectAnUpload() throws(DriveError) {
        guard call.request.headers[TusFields.resumable] == nil else {
            throw DriveError(
                .invalidRequest, "tus is spoken at another address: \(call.request.uri.path.replacing("/uploads", with: "/tus")).",
                details: ["rule": .string(TusFields.resumable.rawName)])
        }
        if !isResumable, let declared = request.declaredLength, let length = request.contentLength, declared != length {
            throw DriveError(
                .lengthMismatch,
                "Upload-Length says \(declared) bytes, the body has \(length), and nothing says that more comes (Upload-Complete: ?0).",
                details: ["length": .integer(length), "providedLength": .integer(declared)])
        }
    }

    private var isResumable: Bool { request.isComplete != nil }

    private var completesUpload: Bool {
        guard request.isComplete == false else { return true }
        return request.version.completesEmptyCreation && request.isEmpty && request.declaredLength == 0
    }

    /// Why a creation failed. An upload that its client was never told of would wait for bytes that cannot come: it is ended.
    private func reason(_ error: any Error, for upload: StreamUpload, interim: InterimResponses) async -> any Error {
        // Of an upload that ran past its length nobody can tell which bytes are meant (-11, section 4.4.2).
        let ranOver =
            ErrorMapping.driveError(error).code == .lengthExceeded && request.contentLength == nil && request.version.invalidatesOverlong
        // What its owner may not store is ended at once, not when it expires: it holds room until then.
        let mapped = ErrorMapping.driveError(error)
        let isRefused = mapped.code.category == .refused || mapped.code == .fileTooLarge
        if interim.hasSent, !ranOver, !isRefused { return error }
        // In a task of its own: the request's is cancelled where its connection broke.
        await Task { [call] in
            try? await call.services.uploads.terminateStream(upload.taskId, removingFile: false, by: try call.caller)
        }.value
        guard ErrorMapping.driveError(error).code == .bodyInterrupted else { return error }
        return DriveError(.requestTimeout, "The request body broke off or stood still; nothing of it is kept. Send it again.")
    }
}
