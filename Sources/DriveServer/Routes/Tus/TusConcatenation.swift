import DriveModel
import DriveUploads
import HTTPTypes

/// `Upload-Concat` of a creation.
enum TusConcatenation: Equatable, Sendable {
    /// One part of a later final upload.
    case partial
    /// A final upload of the parts at these addresses, in this order; `text` is the field as it came.
    case final(references: [String], text: String)

    /// Throws `INVALID_CONCATENATION` for anything but `partial` and `final;` with a list of addresses between spaces.
    init(_ text: String) throws(DriveError) {
        if text == "partial" {
            self = .partial
            return
        }
        let references = text.dropFirst("final;".count).split(separator: " ").map(String.init)
        guard text.hasPrefix("final;"), !references.isEmpty else {
            throw DriveError(
                .invalidConcatenation, "Upload-Concat must be partial, or final; and the addresses of the parts with spaces between them.",
                details: ["rule": .string(TusFields.concat.rawName)])
        }
        self = .final(references: references, text: text)
    }
}
