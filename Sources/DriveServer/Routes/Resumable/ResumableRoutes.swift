import DriveModel
import DriveUploads
import HTTPTypes
import Hummingbird
import NIOCore

/// `/uploads`: Resumable Uploads for HTTP, drafts -01 to -11 and the final form.
enum ResumableRoutes {
    private static let upload = ResumableFace.path + "/{taskId}"

    static let all: [Route] = [
        Route(.options, ResumableFace.path, .open, options),
        Route(.post, ResumableFace.path, .account, answering { try await ResumableCreation($0).answer() }),
        Route(.put, ResumableFace.path, .account, answering { try await ResumableCreation($0).answer() }),
        Route(.options, upload, .open, options),
        Route(.head, upload, .upload, retrieve),
        Route(.get, upload, .upload, retrieve),
        Route(.patch, upload, .upload, answering { try await ResumableAppend($0).answer() }),
        Route(.post, upload, .upload, answering(post)),
        Route(.delete, upload, .upload, cancel),
    ]

    /// What may be sent here, whether or not there is such an upload.
    @Sendable private static func options(_ call: Call) async throws -> Response {
        var fields: HTTPFields = [
            ResumableField.limit: ResumableLimits(call.services.configuration).general,
            ResumableField.acceptPatch: ResumableField.partialUpload,
        ]
        fields[.allow] = AllowedMethods.table.methods(at: call.request.uri.path).map(\.rawValue).joined(separator: ", ")
        return Response(status: .noContent, headers: fields)
    }

    /// Where the upload stands. Ends the request that still sends to it.
    @Sendable private static func retrieve(_ call: Call) async throws -> Response {
        let reply = ResumableReply(call)
        try refuseTransferFields(reply.request, isRetrieval: true)
        return reply.retrieval(
            of: try await call.services.uploads.stream(try call.parameter("taskId"), over: UploadFace.resumable, by: try call.caller))
    }

    /// Ends the upload; a file that it has become stays.
    @Sendable private static func cancel(_ call: Call) async throws -> Response {
        try refuseTransferFields(ResumableRequest(call.request.headers), isRetrieval: false)
        try await call.services.uploads.terminateStream(
            try call.parameter("taskId"), over: UploadFace.resumable, removingFile: false, by: try call.caller)
        return Response(status: .noContent)
    }

    /// A PATCH of a client that cannot send one (tus-js-client with `overridePatchMethod`), and nothing else.
    @Sendable private static func post(_ call: Call) async throws -> Response {
        if call.request.headers[ResumableField.methodOverride]?.uppercased() == HTTPRequest.Method.patch.rawValue {
            return try await ResumableAppend(call).answer()
        }
        let methods = AllowedMethods.table.methods(at: call.request.uri.path).map(\.rawValue).filter { $0 != "POST" }
        throw DriveError(
            .methodNotAllowed, "An upload takes \(methods.joined(separator: ", ")); bytes are added by PATCH.",
            details: ["rule": "method", "allowed": .array(methods.map { .string($0) })])
    }

    private static func refuseTransferFields(_ request: ResumableRequest, isRetrieval: Bool) throws(DriveError) {
        guard request.version.refusesTransferFieldsElsewhere else { return }
        let hasLength = isRetrieval && request.version.refusesLengthAtRetrieval && request.declaredLength != nil
        guard request.offset == nil, request.isComplete == nil, !hasLength else {
            throw DriveError(
                .invalidRequest, "Such a request carries neither an offset nor a length, and does not say whether the upload is complete.",
                details: ["rule": "transferFields"])
        }
    }

    /// Answers what takes bytes: a request whose body broke off gets no answer but the end of its connection, because only that makes
    /// clients resume (URLSession takes any final response for the end), and one that was too large is told the limits.
    private static func answering(
        _ handle: @escaping @Sendable (Call) async throws -> Response
    ) -> @Sendable (Call) async throws -> Response {
        { call in
            do {
                return try await handle(call)
            } catch {
                let mapped = ErrorMapping.driveError(error)
                switch mapped.code {
                case .uploadTakenOver, .bodyInterrupted,
                    .uploadGone where mapped.isOfEndedRequest:
                    guard let exchange = HTTPExchange.current else { throw error }
                    try? await exchange.channel.close()
                    // Goes nowhere: the channel is closed.
                    return Response(status: .noContent)
                case .payloadTooLarge, .fileTooLarge:
                    var response = ResumableFace.refuse(mapped, call.request, call.requestId)
                    response.headers[ResumableField.limit] = ResumableLimits(call.services.configuration).general
                    return response
                default: throw error
                }
            }
        }
    }
}
