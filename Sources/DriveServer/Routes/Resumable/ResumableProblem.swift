import DriveModel
import DriveUploads
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

/// An error as a problem document (RFC 9457), with the fields that the protocol asks for beside it.
struct ResumableProblem: Sendable {
    let error: DriveError
    let request: ResumableRequest
    let method: HTTPRequest.Method
    /// Whether the request would have made a new upload.
    let isCreation: Bool

    init(_ error: DriveError, method: HTTPRequest.Method, path: String, headers: HTTPFields) {
        self.error = error
        self.method = method
        request = ResumableRequest(headers)
        let segments = path.split(separator: "/")
        isCreation = (method == .post || method == .put) && segments.last == ResumableFace.path.dropFirst()
    }

    var status: HTTPResponse.Status {
        switch error.code {
        case .uploadCompleted, .lengthExceeded: return .badRequest
        case .uploadGone, .taskExpired: return request.version.hidesGoneUploads ? .notFound : .gone
        // tus-js-client begins again from zero after any other answer, and a fault that passes is no reason to.
        case _ where method == .head && error.isPassing: return ErrorMapping.status(of: .locked)
        default: return ErrorMapping.status(of: error.code.category)
        }
    }

    /// The registered type and its title, or the status alone.
    private var kind: (type: String, title: String) {
        let registry = "https://iana.org/assignments/http-problem-types#"
        return switch error.code {
        case .offsetMismatch: (registry + "mismatching-upload-offset", "offset from request does not match offset of resource")
        case .lengthMismatch, .lengthExceeded: (registry + "inconsistent-upload-length", "inconsistent length values for upload")
        case .uploadCompleted: (registry + "completed-upload", "upload is already completed")
        default: ("about:blank", status.reasonPhrase)
        }
    }

    /// Whether the answer is about the file rather than about the transfer: the client has nothing to resume (-12, section 4.1.2).
    private var isFinal: Bool {
        switch error.code {
        case .hashMismatch, .fileNotFound: return true
        case .lengthMismatch, .lengthExceeded, .uploadCompleted, .checksumMismatch, .payloadTooLarge: return false
        default: break
        }
        guard isCreation else { return false }
        return switch error.code.category {
        case .invalid, .refused, .notFound, .tooLarge, .unsupportedMediaType, .unprocessable: true
        default: false
        }
    }

    var headers: HTTPFields {
        var headers: HTTPFields = [.contentType: "application/problem+json", .cacheControl: "no-store"]
        let waits = method == .head && status == ErrorMapping.status(of: .locked)
        headers[.retryAfter] = (error.retryAfter ?? (waits ? 1 : nil)).map(String.init)
        if status == .unauthorized { headers[.wwwAuthenticate] = "Bearer realm=\"drive\"" }
        if status == .unsupportedMediaType, !isCreation { headers[ResumableField.acceptPatch] = ResumableField.partialUpload }
        if status == .methodNotAllowed, case .array(let allowed)? = error.details["allowed"] {
            headers[.allow] = allowed.compactMap(\.string).joined(separator: ", ")
        }
        headers[ResumableField.offset] = error.details["offset"]?.integer.map(String.init)
        let transfers = isCreation ? request.isComplete != nil : method == .patch || method == .post
        if transfers { request.version.setComplete(isFinal, in: &headers) }
        return headers
    }

    /// The members of the document.
    func members(requestId: String) -> [String: JSONValue] {
        let (type, title) = kind
        var members: [String: JSONValue] = [
            "type": .string(type), "title": .string(title), "status": .integer(Int64(status.code)), "detail": .string(error.message),
            "code": .string(error.code.name), "details": .object(error.details), "requestId": .string(requestId),
        ]
        if error.code == .offsetMismatch {
            members["expected-offset"] = error.details["offset"]
            members["provided-offset"] = request.offset.map(JSONValue.integer)
        }
        return members
    }

    func response(requestId: String) -> Response {
        let body = (try? DriveJSON.encoder().encode(members(requestId: requestId))).map { ByteBuffer(bytes: $0) }
        return Response(status: status, headers: headers, body: body.map(ResponseBody.init(byteBuffer:)) ?? ResponseBody())
    }
}
