import DriveModel
import HTTPTypes

/// The preconditions and the range of a request for an existing representation, in the order of RFC 9110 §13.2.2.
enum ConditionalRequest {
    /// What to answer.
    enum Outcome: Hashable, Sendable {
        /// 200 with everything (or the method's own success).
        case full
        /// 206 with these bytes, never empty.
        case partial(Range<Int64>)
        /// 304
        case notModified
        /// 412
        case preconditionFailed
        /// 416, with `Content-Range: bytes */size`.
        case unsatisfiable
    }

    /// Decides the answer.
    ///
    /// Dates are compared exactly in `If-Range`: content never changes under one tag here, so that a date that is current is a strong
    /// validator (§8.8.2.2). Malformed dates are ignored; a malformed `If-Match` matches nothing.
    /// - Parameters:
    ///   - headers: the request's.
    ///   - etag: the current tag of the representation, if it has one.
    ///   - lastModified: when it was last changed, if known.
    ///   - size: its length in bytes.
    static func evaluate(
        method: HTTPRequest.Method, headers: HTTPFields, etag: EntityTag?, lastModified: HTTPDate?, size: Int64
    ) -> Outcome {
        let reads = method == .get || method == .head
        if let text = headers[.ifMatch] {
            let condition = EntityTag.Condition(text)
            guard condition?.contains(etag, by: { $0.matchesStrongly($1) }) ?? false else { return .preconditionFailed }
        } else if let since = headers[.ifUnmodifiedSince].flatMap({ HTTPDate($0) }), let lastModified, lastModified > since {
            return .preconditionFailed
        }
        if let text = headers[.ifNoneMatch] {
            let condition = EntityTag.Condition(text)
            if condition?.contains(etag, by: { $0.matchesWeakly($1) }) ?? false { return reads ? .notModified : .preconditionFailed }
        } else if reads, let since = headers[.ifModifiedSince].flatMap({ HTTPDate($0) }), let lastModified, lastModified <= since {
            return .notModified
        }
        // Ranges are defined for GET alone (§14.2).
        guard method == .get, let range = headers[.range].flatMap({ ByteRange($0) }) else { return .full }
        if let validator = headers[.ifRange], !isCurrent(validator, etag: etag, lastModified: lastModified) { return .full }
        switch range.resolve(size: size) {
        case .partial(let bytes): return .partial(bytes)
        case .unsatisfiable: return .unsatisfiable
        case .full: return .full
        }
    }

    /// `If-Range` (§13.1.5): a strong tag or a date, equal to the current one.
    private static func isCurrent(_ validator: String, etag: EntityTag?, lastModified: HTTPDate?) -> Bool {
        if let tag = EntityTag(validator) { return etag.map(tag.matchesStrongly) ?? false }
        guard let date = HTTPDate(validator) else { return false }
        return date == lastModified
    }
}
