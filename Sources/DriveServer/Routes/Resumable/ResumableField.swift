import HTTPTypes

/// The fields of Resumable Uploads for HTTP that HTTPTypes does not have.
enum ResumableField {
    static let interopVersion = HTTPField.Name(known: "Upload-Draft-Interop-Version")
    static let complete = HTTPField.Name(known: "Upload-Complete")
    /// Drafts before -02: the opposite of `complete`.
    static let incomplete = HTTPField.Name(known: "Upload-Incomplete")
    static let offset = HTTPField.Name(known: "Upload-Offset")
    static let length = HTTPField.Name(known: "Upload-Length")
    static let limit = HTTPField.Name(known: "Upload-Limit")
    static let acceptPatch = HTTPField.Name(known: "Accept-Patch")
    static let methodOverride = HTTPField.Name(known: "X-HTTP-Method-Override")
    static let reprDigest = HTTPField.Name(known: "Repr-Digest")
    static let wantReprDigest = HTTPField.Name(known: "Want-Repr-Digest")

    /// The media type of an append.
    static let partialUpload = "application/partial-upload"
}
