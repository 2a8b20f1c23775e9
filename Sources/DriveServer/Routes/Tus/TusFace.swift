import DriveModel
import DriveUploads
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

/// tus 1.0.0 on the wire: what every answer carries, and how errors look.
enum TusFace {
    static let face = WireFace(path: "/tus", refuse: refuse, complete: complete)

    /// Seconds after which a passing refusal may be asked again, where nobody says.
    private static let patience = 1

    /// What the checksum extension answers where the bytes are not the promised ones.
    private static let checksumMismatch = HTTPResponse.Status(code: 460, reasonPhrase: "Checksum Mismatch")

    @Sendable private static func refuse(_ error: DriveError, _ request: Request, _ requestId: String) -> Response {
        let method = TusProtocol.method(of: request)
        let error = patient(error, method: method)
        var response = ErrorMapping.response(error, requestId: requestId)
        switch error.code {
        case .checksumMismatch:
            response.status = checksumMismatch
            let reply = ErrorReply(
                code: error.code.name, message: error.message, status: checksumMismatch.code, details: error.details, requestId: requestId)
            if let body = try? DriveJSON.encoder().encode(reply) {
                response.body = ResponseBody(byteBuffer: ByteBuffer(bytes: body))
            }
        case .offsetMismatch where method == .patch:
            // Clients that look at the offset alone go on from here. On any other error it would be taken for success.
            response.headers[TusFields.offset] = error.details["offset"]?.integer.map { "\($0)" }
            response.headers[TusFields.expires] = error.details["expiresAt"]?.string.flatMap { Timestamp($0) }.map(TusResource.date)
        case .preconditionFailed:
            response.headers[TusFields.version] = TusProtocol.version
        case .methodNotAllowed:
            if case .array(let names)? = error.details["allowed"] {
                response.headers[.allow] = names.compactMap(\.string).joined(separator: ", ")
            }
        default: break
        }
        return response
    }

    /// The error as this protocol's clients must see it.
    ///
    /// A client whose `HEAD` is answered with 5xx, 408 or 429 forgets the upload and begins anew; after 423 it asks again.
    static func patient(_ error: DriveError, method: HTTPRequest.Method) -> DriveError {
        var error = error
        if method == .head, error.isPassing {
            error = DriveError(
                .uploadBusy, "The state of the upload cannot be told now; ask again.", details: ["rule": .string(error.code.name)],
                retryAfter: error.retryAfter)
        }
        switch error.code.category {
        case .unavailable, .locked: error.retryAfter = error.retryAfter ?? patience
        default: break
        }
        return error
    }

    @Sendable private static func complete(_ response: inout Response, _ request: Request) {
        response.headers[TusFields.resumable] = TusProtocol.version
        if TusProtocol.method(of: request) == .head { response.headers[.cacheControl] = "no-store" }
    }
}
