import DriveModel

/// What is announced in `Upload-Limit` (-11, section 4.1.4). Sizes in bytes.
struct ResumableLimits: Hashable, Sendable {
    /// The largest upload.
    let maximumSize: Int64
    /// The largest body of one request; nil: as large as the upload.
    let maximumAppend: Int64?
    /// Seconds that a new upload has at least, where nobody touches it.
    let newUploadAge: Int64

    init(maximumSize: Int64, maximumAppend: Int64?, newUploadAge: Int64) {
        self.maximumSize = maximumSize
        self.maximumAppend = maximumAppend
        self.newUploadAge = newUploadAge
    }

    init(_ configuration: DriveConfiguration) {
        let uploads = configuration.uploads
        self.init(
            maximumSize: uploads.maxFileSize,
            maximumAppend: uploads.maxRequestBody > 0 ? uploads.maxRequestBody : nil,
            newUploadAge: Int64(min(uploads.staleThreshold, uploads.defaultExpiry).inSeconds))
    }

    /// The field's value in the answer to OPTIONS, which knows of no upload yet.
    var general: String { value(age: newUploadAge, ageMember: InteropVersion.final.ageLimit) }

    /// The field's value for an upload; nil where the version has no such field.
    func value(for upload: Timestamp?, now: Timestamp, version: InteropVersion) -> String? {
        guard version.announcesLimits else { return nil }
        let age = upload.map { max(0, ($0.microseconds - now.microseconds + 500_000) / 1_000_000) }
        return value(age: age, ageMember: version.ageLimit)
    }

    private func value(age: Int64?, ageMember: String) -> String {
        // Never an empty dictionary: that would be no field.
        let members: [(String, Int64?)] = [
            ("min-size", 0), ("max-size", maximumSize), ("max-append-size", maximumAppend), (ageMember, age),
        ]
        return members.compactMap { name, value in value.map { "\(name)=\(min($0, StructuredField.maximumInteger))" } }
            .joined(separator: ", ")
    }

    /// Throws `PAYLOAD_TOO_LARGE` for a body that one request may not have.
    func check(contentLength: Int64?) throws(DriveError) {
        guard let maximumAppend, let contentLength, contentLength > maximumAppend else { return }
        throw DriveError(
            .payloadTooLarge, "The body of one request has at most \(maximumAppend) bytes; send the upload in several.",
            details: ["limit": .integer(maximumAppend)])
    }
}
