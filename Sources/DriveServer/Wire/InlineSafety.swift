import HTTPTypes

/// Decides how the bytes of a stranger are shown, so that no browser runs them with this server's origin.
///
/// A list of what may be shown, never of what may not: a type nobody thought of is a download of unknown bytes. Shown are raster
/// images, audio, video, plain text (its charset forced to UTF-8, as old ones can smuggle markup) and PDF, whose scripts run in the
/// viewer's own sandbox without access to the origin. Not shown are SVG, HTML, XML in any dress, scripts, style sheets, WebAssembly,
/// MHTML and playlists. Types that are inert and well known keep their name when downloaded; all others become octet-stream.
enum InlineSafety {
    /// How a file is served.
    struct Presentation: Sendable, Equatable {
        var disposition: ContentDisposition
        /// The `Content-Type` to send, whatever was stored.
        var contentType: String
        /// `X-Content-Type-Options`, `Content-Security-Policy`, `Cross-Origin-Resource-Policy`: always to be sent.
        var headers: HTTPFields
    }

    static let unknownType = "application/octet-stream"

    /// Decides for a stored media type.
    /// - Parameters:
    ///   - mediaType: as the client gave it, parameters allowed; malformed is unknown.
    ///   - requested: `attachment` is always obeyed, `inline` only where it is safe.
    static func presentation(of mediaType: String?, requested: ContentDisposition = .inline) -> Presentation {
        let essence = essence(of: mediaType ?? "") ?? unknownType
        let shown = inlineTypes.contains(essence)
        let contentType: String
        switch essence {
        case "text/plain": contentType = "text/plain; charset=utf-8"
        case _ where shown || inertTypes.contains(essence): contentType = essence
        default: contentType = unknownType
        }
        let disposition: ContentDisposition = shown && requested == .inline ? .inline : .attachment
        let viewsPDF = disposition == .inline && essence == "application/pdf"
        return Presentation(
            disposition: disposition,
            contentType: contentType,
            headers: [
                .xContentTypeOptions: "nosniff",
                .contentSecurityPolicy: viewsPDF ? pdfPolicy : sandboxPolicy,
                .crossOriginResourcePolicy: "same-origin",
            ])
    }

    /// `type/subtype` in lower case without parameters, or nil where it is not two tokens.
    private static func essence(of mediaType: String) -> String? {
        guard let value = HeaderParameters(mediaType.utf8)?.value else { return nil }
        let halves = value.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard halves.count == 2, halves.allSatisfy({ !$0.isEmpty && $0.allSatisfy(HTTPSyntax.isTokenByte) }) else { return nil }
        return value
    }

    /// Browsers show a medium in a page they make themselves: it needs the medium and inline styles, and nothing else.
    private static let sandboxPolicy =
        "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        + "frame-ancestors 'self'; sandbox"

    /// Without `sandbox`, and with `object-src`: Chromium does not run its PDF viewer otherwise.
    private static let pdfPolicy =
        "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

    private static let inlineTypes: Set<String> = [
        "application/pdf", "text/plain",
        "image/apng", "image/avif", "image/bmp", "image/gif", "image/heic", "image/heif", "image/jpeg", "image/jxl", "image/png",
        "image/tiff", "image/vnd.microsoft.icon", "image/webp", "image/x-icon",
        "audio/aac", "audio/flac", "audio/midi", "audio/mp4", "audio/mpeg", "audio/ogg", "audio/opus", "audio/wav", "audio/wave",
        "audio/webm", "audio/x-flac", "audio/x-m4a", "audio/x-wav",
        "video/3gpp", "video/mp4", "video/mpeg", "video/ogg", "video/quicktime", "video/webm", "video/x-m4v", "video/x-matroska",
    ]

    private static let inertTypes: Set<String> = [
        "application/epub+zip", "application/gzip", "application/json", "application/msword", "application/rtf",
        "application/vnd.debian.binary-package", "application/vnd.ms-excel", "application/vnd.ms-powerpoint", "application/vnd.rar",
        "application/vnd.oasis.opendocument.presentation", "application/vnd.oasis.opendocument.spreadsheet",
        "application/vnd.oasis.opendocument.text",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/x-7z-compressed", "application/x-bzip2", "application/x-tar", "application/x-xz", "application/zip",
        "application/zstd", "font/otf", "font/ttf", "font/woff", "font/woff2", "text/csv", "text/markdown",
    ]
}
