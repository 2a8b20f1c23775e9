import DriveCrypto
import DriveModel
import HTTPTypes
import Hummingbird

/// Which tus this server speaks, and what every request is asked first.
enum TusProtocol {
    static let version = "1.0.0"

    /// Comma-separated without blanks: there are clients that split and do not trim.
    static let extensions = [
        "creation", "creation-with-upload", "creation-defer-length", "expiration", "checksum", "checksum-trailer", "termination",
        "concatenation", "concatenation-unfinished",
    ].joined(separator: ",")

    /// The media type of a request's bytes.
    static let mediaType = "application/offset+octet-stream"

    /// The method that is meant: a `POST` may carry another one in `X-HTTP-Method-Override`.
    ///
    /// Not other carriers: a `GET` that deletes is what forged links are made of.
    static func method(of request: Request) -> HTTPRequest.Method {
        guard request.method == .post || request.method == .put, let text = request.headers[TusFields.methodOverride] else {
            return request.method
        }
        return HTTPRequest.Method(text.uppercased()) ?? request.method
    }

    /// Throws `PRECONDITION_FAILED` where the client speaks another version, or does not say which.
    ///
    /// - Parameter required: whether it must say. `HEAD` need not: there are clients in the field that do not.
    static func checkVersion(_ headers: HTTPFields, required: Bool = true) throws(DriveError) {
        let text = headers[TusFields.resumable]
        if text == version || text == nil && !required { return }
        throw DriveError(
            .preconditionFailed, "Send Tus-Resumable: \(version); nothing was done.",
            details: ["rule": .string(TusFields.resumable.rawName), "supported": .array([.string(version)])])
    }

    /// Whether a request says that its body is bytes of an upload.
    static func isUploadBytes(_ headers: HTTPFields) -> Bool {
        headers.mediaType == mediaType
    }

    static func unsupportedMediaType() -> DriveError {
        DriveError(
            .unsupportedMediaType, "The bytes of an upload are sent as Content-Type: \(mediaType).", details: ["rule": "Content-Type"])
    }

    /// Throws `FILE_TOO_LARGE` for a declared length that no upload may have.
    static func checkLength(_ length: Int64?, maximum: Int64) throws(DriveError) {
        guard let length, length > maximum else { return }
        throw DriveError(
            .fileTooLarge, "An upload may have at most \(maximum) bytes (Tus-Max-Size).",
            details: ["rule": .string(TusFields.length.rawName), "maxFileSize": .integer(maximum)])
    }
}
