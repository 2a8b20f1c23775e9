import DriveModel
import HTTPTypes
import Hummingbird

/// Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload) on the wire: what every answer carries, and how errors look.
enum ResumableFace {
    static let path = "/uploads"
    static let face = WireFace(path: path, refuse: refuse, complete: complete)

    @Sendable static func refuse(_ error: DriveError, _ request: Request, _ requestId: String) -> Response {
        ResumableProblem(error, method: request.method, path: request.uri.path, headers: request.headers).response(requestId: requestId)
    }

    /// A request that names its draft is answered with the draft's name.
    @Sendable static func complete(_ response: inout Response, _ request: Request) {
        response.headers[ResumableField.interopVersion] = InteropVersion(request.headers).number.map(String.init)
    }
}
