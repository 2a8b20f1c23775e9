import NIOCore

/// What bounds a multipart body, beside the request's own size limit.
struct MultipartLimits: Sendable, Equatable {
    /// Bytes of one part's header block, its closing empty line included.
    var headerBytes = 8 * 1024
    /// Parts in one body.
    var parts = 64
    /// Bytes before the first delimiter.
    var preambleBytes = 8 * 1024
}

/// What a multipart body is made of, in order: `partBegan (data* ) partEnded` for each part, then `finished`.
enum MultipartEvent: Sendable, Equatable {
    case partBegan(PartHeaders)
    /// Bytes of the part, never empty: a slice of a buffer that was fed, or the few bytes at its end that looked like a delimiter.
    case data(ByteBuffer)
    case partEnded
    /// The closing delimiter was read. Whatever follows is ignored.
    case finished
}

/// Why a multipart body was refused. The parser keeps its first error and throws it again.
enum MultipartError: Error, Sendable, Equatable {
    /// The Content-Type is not `multipart/form-data`, or cannot be parsed.
    case notFormData
    case missingBoundary
    /// Longer than 70 characters (RFC 2046 §5.1.1).
    case boundaryTooLong(Int)
    /// Characters outside printable ASCII, or a space at the end.
    case invalidBoundary
    /// The body has no delimiter line at all: it is empty, or the boundary differs from the announced one.
    case delimiterNotFound
    /// The body ended inside a part, or before the closing delimiter.
    case truncated
    /// A boundary is followed by something other than `--` or a line end.
    case malformedDelimiter
    /// The reason is a fixed sentence of this parser, never text of the client.
    case malformedPartHeader(reason: String)
    case partWithoutName
    /// `Content-Transfer-Encoding` other than 7bit, 8bit, binary (RFC 7578 §4.7).
    case unsupportedTransferEncoding
    case headersTooLong(limit: Int)
    case preambleTooLong(limit: Int)
    case tooManyParts(limit: Int)

    /// Stable, for programs.
    var code: String {
        switch self {
        case .notFormData: "MULTIPART_EXPECTED"
        case .missingBoundary: "MULTIPART_BOUNDARY_MISSING"
        case .boundaryTooLong, .invalidBoundary: "MULTIPART_BOUNDARY_INVALID"
        case .delimiterNotFound: "MULTIPART_BOUNDARY_NOT_FOUND"
        case .truncated: "MULTIPART_TRUNCATED"
        case .malformedDelimiter: "MULTIPART_DELIMITER_MALFORMED"
        case .malformedPartHeader: "MULTIPART_HEADER_MALFORMED"
        case .partWithoutName: "MULTIPART_PART_WITHOUT_NAME"
        case .unsupportedTransferEncoding: "MULTIPART_TRANSFER_ENCODING_UNSUPPORTED"
        case .headersTooLong: "MULTIPART_HEADERS_TOO_LONG"
        case .preambleTooLong: "MULTIPART_PREAMBLE_TOO_LONG"
        case .tooManyParts: "TOO_MANY_PARTS"
        }
    }

    /// The HTTP status that fits: 415 for another media type, 413 for a limit, else 400.
    var status: Int {
        switch self {
        case .notFormData: 415
        case .headersTooLong, .tooManyParts: 413
        default: 400
        }
    }

    /// One sentence for people. Contains nothing the client sent.
    var message: String {
        switch self {
        case .notFormData: "The Content-Type is not multipart/form-data."
        case .missingBoundary: "The Content-Type multipart/form-data has no boundary parameter."
        case .boundaryTooLong(let length): "The multipart boundary has \(length) characters; at most 70 are allowed."
        case .invalidBoundary: "The multipart boundary has characters that are not allowed."
        case .delimiterNotFound: "The announced multipart boundary does not occur in the body."
        case .truncated: "The multipart body ended before its closing boundary."
        case .malformedDelimiter: "A multipart boundary is not followed by a line end or by \"--\"."
        case .malformedPartHeader(let reason): "A part's header is malformed: \(reason)."
        case .partWithoutName: "A part's Content-Disposition has no name."
        case .unsupportedTransferEncoding: "A part uses a Content-Transfer-Encoding; send its bytes as they are."
        case .headersTooLong(let limit): "A part's headers are longer than \(limit) bytes."
        case .preambleTooLong(let limit): "More than \(limit) bytes stand before the first multipart boundary."
        case .tooManyParts(let limit): "The multipart body has more than \(limit) parts."
        }
    }
}
