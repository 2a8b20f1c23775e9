import DriveCrypto
import DriveModel
import DriveUploads
import HTTPTypes

/// What a request says in the terms of the protocol. A field that is malformed is as if it were not there.
struct ResumableRequest: Hashable, Sendable {
    let version: InteropVersion
    /// Whether the upload is whole with this request; nil: the request does not say, so a creation is an ordinary request.
    let isComplete: Bool?
    let offset: Int64?
    /// `Upload-Length`: bytes of the whole upload.
    let declaredLength: Int64?
    /// Bytes of the body; nil where it comes in chunks.
    let contentLength: Int64?
    /// Whether the body is labelled as a piece of an upload.
    let isPartialUpload: Bool
    /// Whether the client asked for the SHA-256 of what it sends.
    let wantsDigest: Bool

    init(_ headers: HTTPFields) {
        version = InteropVersion(headers)
        isComplete = version.isComplete(headers)
        offset = headers[ResumableField.offset].flatMap(StructuredField.nonNegativeInteger)
        declaredLength = headers[ResumableField.length].flatMap(StructuredField.nonNegativeInteger)
        contentLength = headers.bodyLength
        isPartialUpload = headers.mediaType == ResumableField.partialUpload
        wantsDigest = headers[ResumableField.wantReprDigest].flatMap { WantedDigest.choice($0, among: [.sha256]) } != nil
    }

    var isEmpty: Bool { contentLength == 0 }

    /// Whether an append at its offset completes the upload.
    var completesAppend: Bool {
        isComplete ?? version.completesByDefault(offset: offset ?? -1, length: declaredLength, isEmpty: isEmpty)
    }

    /// Bytes of the whole upload as far as the request tells: by its field, or as its last bytes end there (-11, section 4.1.3).
    ///
    /// Throws `LENGTH_MISMATCH` where the two differ, and where the body alone is longer than the field says.
    func length(from start: Int64, completes: Bool) throws(DriveError) -> Int64? {
        guard let contentLength else { return declaredLength }
        let (end, overflow) = start.addingReportingOverflow(contentLength)
        let fits = !overflow && (completes ? declaredLength ?? end == end : end <= declaredLength ?? .max)
        guard fits else {
            throw DriveError(
                .lengthMismatch, "Upload-Length does not agree with the offset and the length of the body.",
                details: ["length": .integer(declaredLength ?? 0), "contentLength": .integer(contentLength)])
        }
        return completes ? end : declaredLength
    }
}
