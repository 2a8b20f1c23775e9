import HTTPTypes

/// What the fields of a request say of its body.
extension HTTPFields {
    /// Bytes of the body; nil where the request does not tell (RFC 9112, section 6.3).
    var bodyLength: Int64? {
        self[.contentLength].flatMap(HTTPSyntax.number) ?? (self[.transferEncoding] == nil ? 0 : nil)
    }

    /// What `Content-Type` names, in lower case and without its parameters, whatever they are (RFC 9110, section 8.3.1).
    var mediaType: String? {
        guard let text = self[.contentType] else { return nil }
        let essence = HTTPSyntax.trim(Array(text.utf8.prefix { $0 != UInt8(ascii: ";") })[...])
        return String(decoding: essence.map(HTTPSyntax.lowercased), as: UTF8.self)
    }
}
