/// The body of every error reply, in the spec's format.
public struct ErrorReply: Codable, Hashable, Sendable {
    public var code: String
    public var message: String
    /// The HTTP status, once more for programs that lost it.
    public var status: Int
    public var details: [String: JSONValue]
    /// Finds the request in the server's log; also in the header `X-Request-Id`.
    public var requestId: String?

    public init(code: String, message: String, status: Int, details: [String: JSONValue], requestId: String?) {
        self.code = code
        self.message = message
        self.status = status
        self.details = details
        self.requestId = requestId
    }
}
