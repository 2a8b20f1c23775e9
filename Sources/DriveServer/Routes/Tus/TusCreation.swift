import DriveModel
import DriveUploads
import HTTPTypes

/// What the head of a creation asks for.
struct TusCreation: Equatable, Sendable {
    /// Bytes of the upload; nil where the client defers it, and for a final upload, whose parts say it.
    let length: Int64?
    let concatenation: TusConcatenation?
    let metadata: TusMetadata
    /// Of the body that comes with it.
    let checksum: TusChecksum
    /// Bytes of the body; nil where the request does not tell.
    let bodyLength: Int64?

    /// Whether the request brings bytes of the upload, or promises something of them.
    var hasBody: Bool { bodyLength != 0 || checksum.isPromised }

    /// - Parameter maximum: bytes of the largest upload.
    /// - Throws: `INVALID_REQUEST` or `INVALID_CONCATENATION` naming the field, `FILE_TOO_LARGE`, `LENGTH_EXCEEDED` where the
    ///   body is larger than the upload, `UNSUPPORTED_MEDIA_TYPE` for a body that is not said to be its bytes, `FORBIDDEN` for
    ///   a final upload with one.
    init(_ headers: HTTPFields, maximum: Int64) throws(DriveError) {
        if let text = headers[TusFields.concat] {
            concatenation = try TusConcatenation(text)
        } else {
            concatenation = nil
        }
        length = try Self.length(headers, concatenation: concatenation)
        metadata = try TusMetadata(headers[TusFields.metadata])
        checksum = try TusChecksum(headers)
        bodyLength = headers.bodyLength
        try TusProtocol.checkLength(length, maximum: maximum)
        guard bodyLength != 0 else { return }
        if case .final = concatenation {
            throw DriveError(
                .forbidden, "A final upload gets its bytes from its parts; it takes no body.",
                details: ["rule": .string(TusFields.concat.rawName)])
        }
        if let length, let bodyLength, bodyLength > length {
            throw DriveError(
                .lengthExceeded, "The body has more bytes than Upload-Length says; nothing was created.",
                details: ["rule": .string(TusFields.length.rawName), "length": .integer(length)])
        }
        guard TusProtocol.isUploadBytes(headers) else { throw TusProtocol.unsupportedMediaType() }
    }

    /// One of the two length fields, or neither for a final upload.
    private static func length(_ headers: HTTPFields, concatenation: TusConcatenation?) throws(DriveError) -> Int64? {
        let length = try TusFields.number(TusFields.length, in: headers)
        let isDeferred = headers[TusFields.deferLength].map { $0 == "1" }
        if isDeferred == false {
            throw TusFields.malformed(TusFields.deferLength, "Upload-Defer-Length must be 1.")
        }
        if case .final = concatenation {
            guard length == nil, isDeferred == nil else {
                throw TusFields.malformed(
                    TusFields.length, "The length of a final upload is the sum of its parts'; leave Upload-Length out.")
            }
            return nil
        }
        guard (length == nil) != (isDeferred == nil) else {
            throw TusFields.malformed(TusFields.length, "Send either Upload-Length or Upload-Defer-Length: 1.")
        }
        return length
    }
}
