import DriveModel
import HTTPTypes

/// Fields of tus 1.0.0.
enum TusFields {
    static let resumable = HTTPField.Name(known: "Tus-Resumable")
    static let version = HTTPField.Name(known: "Tus-Version")
    static let extensions = HTTPField.Name(known: "Tus-Extension")
    static let maxSize = HTTPField.Name(known: "Tus-Max-Size")
    static let checksumAlgorithm = HTTPField.Name(known: "Tus-Checksum-Algorithm")
    static let methodOverride = HTTPField.Name(known: "X-HTTP-Method-Override")
    static let offset = HTTPField.Name(known: "Upload-Offset")
    static let length = HTTPField.Name(known: "Upload-Length")
    static let deferLength = HTTPField.Name(known: "Upload-Defer-Length")
    static let metadata = HTTPField.Name(known: "Upload-Metadata")
    static let concat = HTTPField.Name(known: "Upload-Concat")
    static let checksum = HTTPField.Name(known: "Upload-Checksum")
    static let expires = HTTPField.Name(known: "Upload-Expires")

    /// The number in a field; nil where the field is not there. Throws `INVALID_REQUEST` naming the field.
    static func number(_ name: HTTPField.Name, in headers: HTTPFields) throws(DriveError) -> Int64? {
        guard let text = headers[name] else { return nil }
        guard let number = HTTPSyntax.number(text) else {
            throw malformed(name, "\(name.rawName) must be a whole number of bytes, digits alone.")
        }
        return number
    }

    /// The refusal of a field's value.
    static func malformed(_ name: HTTPField.Name, _ message: String) -> DriveError {
        DriveError(.invalidRequest, message, details: ["rule": .string(name.rawName)])
    }
}
