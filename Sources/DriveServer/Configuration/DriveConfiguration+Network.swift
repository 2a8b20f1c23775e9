extension DriveConfiguration {
    /// Cross-origin requests of browsers (Fetch standard, "CORS protocol").
    package struct CORS: Sendable, Equatable {
        /// Origins, or `*`; empty: no cross-origin request is allowed.
        package var allowedOrigins: [String] = []
        package var allowedHeaders = [
            "Authorization", "Content-Digest", "Content-Disposition", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match",
            "If-Range", "Range", "Repr-Digest", "Tus-Resumable", "Upload-Checksum", "Upload-Complete", "Upload-Concat",
            "Upload-Defer-Length", "Upload-Draft-Interop-Version", "Upload-Incomplete", "Upload-Length", "Upload-Metadata",
            "Upload-Offset", "Want-Repr-Digest", "X-HTTP-Method-Override", "X-Request-Id", "X-Requested-With",
        ]
        package var allowedMethods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        package var exposedHeaders = [
            "Accept-Ranges", "Content-Disposition", "Content-Range", "ETag", "Location", "Repr-Digest", "Retry-After",
            "Tus-Checksum-Algorithm", "Tus-Extension", "Tus-Max-Size", "Tus-Resumable", "Tus-Version", "Upload-Complete",
            "Upload-Concat", "Upload-Defer-Length", "Upload-Draft-Interop-Version", "Upload-Expires", "Upload-Incomplete",
            "Upload-Length", "Upload-Limit", "Upload-Metadata", "Upload-Offset", "X-Request-Id", "X-Total",
        ]
        package var credentials = false
        package var maxAge: Duration = .seconds(600)
    }

    /// TLS by files that are read again when they change.
    package struct TLS: Sendable, Equatable {
        package var certificateFile: String?
        package var keyFile: String?
        /// A plain-HTTP port that redirects to HTTPS; nil: none.
        package var redirectPort: Int?
        /// `max-age` of Strict-Transport-Security (RFC 6797 §6.1.1); zero: the header is not sent.
        package var hstsMaxAge: Duration = .seconds(180 * 86_400)

        package var isEnabled: Bool { certificateFile != nil && keyFile != nil }
    }

    /// Guards against silent, slow and drip-feeding connections.
    package struct Connections: Sendable, Equatable {
        /// From the connection's first moment, and from a request's first byte, to the end of its head.
        package var headTimeout: Duration = .seconds(15)
        /// Between two requests.
        package var idleTimeout: Duration = .seconds(60)
        /// Without a byte of the body.
        package var bodyStallTimeout: Duration = .seconds(30)
        /// Bytes per second, averaged over the body; 0: no minimum.
        package var minimumBodyRate = 1024
        /// Without a byte taken by the client.
        package var writeStallTimeout: Duration = .seconds(60)
        /// From the request to stop until what is left is cut off.
        package var stopDeadline: Duration = .seconds(25)
        package var maximum = 10_000
        /// 0: no limit.
        package var maximumPerAddress = 0
        /// Bytes of a connection's receive buffer.
        package var receiveBuffer = 256 << 10
    }
}
