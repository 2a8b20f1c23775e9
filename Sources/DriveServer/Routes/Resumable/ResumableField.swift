import HTTPTypes

/// The fields of Resumable Uploads for HTTP that HTTPTypes does not have.
enum ResumableField {
    static let interopVersion = name("Upload-Draft-Interop-Version")
    static let complete = name("Upload-Complete")
    /// Drafts before -02: the opposite of `complete`.
    static let incomplete = name("Upload-Incomplete")
    static let offset = name("Upload-Offset")
    static let length = name("Upload-Length")
    static let limit = name("Upload-Limit")
    static let acceptPatch = name("Accept-Patch")
    static let methodOverride = name("X-HTTP-Method-Override")
    static let reprDigest = name("Repr-Digest")
    static let wantReprDigest = name("Want-Repr-Digest")

    /// The media type of an append.
    static let partialUpload = "application/partial-upload"

    /// A name that is a literal of ours; a name that were not valid shows in every test that reads the field.
    private static func name(_ text: String) -> HTTPField.Name { HTTPField.Name(text) ?? .accept }
}
