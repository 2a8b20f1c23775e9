import DriveDatabase
import DriveModel
import DriveStorage
import DriveUploads
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1

/// The one place where errors become HTTP.
enum ErrorMapping {
    static func status(of category: DriveError.Category) -> HTTPResponse.Status {
        switch category {
        case .invalid: .badRequest
        case .unauthenticated: .unauthorized
        case .refused: .forbidden
        case .notFound: .notFound
        case .methodNotAllowed: .methodNotAllowed
        case .conflict: .conflict
        case .gone: .gone
        case .preconditionFailed: .preconditionFailed
        case .tooLarge: .contentTooLarge
        case .unsupportedMediaType: .unsupportedMediaType
        case .rangeNotSatisfiable: .rangeNotSatisfiable
        case .unprocessable: .unprocessableContent
        case .tooManyRequests: .tooManyRequests
        case .internalFailure: .internalServerError
        case .notImplemented: .notImplemented
        case .unavailable: .serviceUnavailable
        case .timedOut: .requestTimeout
        case .upgradeRequired: .upgradeRequired
        case .locked: HTTPResponse.Status(code: 423, reasonPhrase: "Locked")
        case .storageFull: HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage")
        }
    }

    /// Any error in the callers' vocabulary. What is not foreseen is an internal error, whose reason stays in the log.
    static func driveError(_ error: any Error) -> DriveError {
        switch error {
        case let error as DriveError: error
        case let error as DatabaseError: error.asDriveError
        case let error as StorageError: error.asDriveError
        case let error as MultipartError: driveError(error)
        case let error as ConnectionError: driveError(error)
        case is HTTPParserError:
            DriveError(
                .invalidRequest, "The request's framing is not valid HTTP/1.1; the connection is closed.", details: ["rule": "framing"])
        case let error as any HTTPResponseError: driveError(error)
        case is NIOTooManyBytesError:
            DriveError(.payloadTooLarge, "The request body is larger than this route takes.", details: ["rule": "bodySize"])
        case is DecodingError: DriveError(.invalidRequest, "The JSON body does not have the expected form.")
        default: DriveError(.internalError, "The request failed inside; the request id finds the reason in the log.")
        }
    }

    private static func driveError(_ error: MultipartError) -> DriveError {
        let code: DriveError.Code =
            switch error.status {
            case 413: .payloadTooLarge
            case 415: .unsupportedMediaType
            default: .invalidMultipart
            }
        return DriveError(code, error.message, details: ["rule": .string(error.code)])
    }

    private static func driveError(_ error: ConnectionError) -> DriveError {
        switch error {
        case .bodyTimedOut: DriveError(.requestTimeout, "The request body came too slowly; what was acknowledged is kept. Send it again.")
        case .bodyTruncated: DriveError(.bodyTruncated, "The request body ended early; nothing of it is kept. Send it again.")
        case .bodyInterrupted: DriveError(.uploadTakenOver, "Another request for the same upload took the place of this one.")
        case .requestOver, .concurrentRead:
            DriveError(.internalError, "The request failed inside; the request id finds the reason in the log.")
        }
    }

    private static func driveError(_ error: any HTTPResponseError) -> DriveError {
        switch error.status.code {
        case 404: DriveError(.notFound, "There is nothing at this address.", details: ["rule": "route"])
        case 413: DriveError(.payloadTooLarge, "The request body is larger than this route takes.", details: ["rule": "bodySize"])
        case 415: DriveError(.unsupportedMediaType, "The body's media type is not one this route takes.")
        case 400..<500: DriveError(.invalidRequest, "The request cannot be understood.")
        default: DriveError(.internalError, "The request failed inside; the request id finds the reason in the log.")
        }
    }

    /// The reply to an error, in the spec's format.
    static func response(_ error: DriveError, requestId: String) -> Response {
        let status = status(of: error.code.category)
        let reply = ErrorReply(
            code: error.code.name, message: error.message, status: status.code, details: error.details, requestId: requestId)
        var headers: HTTPFields = [.contentType: "application/json; charset=utf-8", .cacheControl: "no-store"]
        if let seconds = error.retryAfter { headers[.retryAfter] = String(seconds) }
        if status == .unauthorized { headers[.wwwAuthenticate] = "Bearer realm=\"drive\"" }
        let body = (try? DriveJSON.encoder().encode(reply)).map { ByteBuffer(bytes: $0) }
        return Response(status: status, headers: headers, body: body.map(ResponseBody.init(byteBuffer:)) ?? ResponseBody())
    }
}
