import DriveModel

extension Reply {
    /// The reply with a problem document (RFC 9457) written as an error of the house's format, so that one check holds for both.
    var inHouseFormat: Reply {
        guard header("Content-Type") == "application/problem+json", case .object(var members) = json else { return self }
        members["message"] = members["detail"]
        guard let text = try? DriveJSON.text(JSONValue.object(members)) else { return self }
        var reply = self
        reply.body = Array(text.utf8)
        return reply
    }
}
