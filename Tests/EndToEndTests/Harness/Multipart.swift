/// A multipart/form-data body (RFC 7578), well-formed or broken on purpose.
struct Multipart: Sendable {
    struct Part: Sendable {
        var headers: String
        var bytes: [UInt8]

        static func file(_ name: String, _ bytes: [UInt8], fileName: String = "blob", contentType: String = "application/octet-stream")
            -> Part
        {
            Part(
                headers: "Content-Disposition: form-data; name=\"\(name)\"; filename=\"\(fileName)\"\r\nContent-Type: \(contentType)\r\n",
                bytes: bytes)
        }

        static func field(_ name: String, _ value: String) -> Part {
            Part(headers: "Content-Disposition: form-data; name=\"\(name)\"\r\n", bytes: Array(value.utf8))
        }
    }

    var parts: [Part]
    var boundary = "drive-e2e-7MA4YWxkTrZu0gW"
    /// Whether the closing delimiter is there.
    var isClosed = true

    var contentType: String { "multipart/form-data; boundary=\(boundary)" }

    var bytes: [UInt8] {
        var body: [UInt8] = []
        for part in parts { body += Array("--\(boundary)\r\n\(part.headers)\r\n".utf8) + part.bytes + Array("\r\n".utf8) }
        if isClosed { body += Array("--\(boundary)--\r\n".utf8) }
        return body
    }
}
