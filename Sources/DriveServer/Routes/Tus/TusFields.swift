import DriveModel
import HTTPTypes

/// Fields of tus 1.0.0.
enum TusFields {
    static let resumable = name("Tus-Resumable")
    static let version = name("Tus-Version")
    static let extensions = name("Tus-Extension")
    static let maxSize = name("Tus-Max-Size")
    static let checksumAlgorithm = name("Tus-Checksum-Algorithm")
    static let methodOverride = name("X-HTTP-Method-Override")
    static let offset = name("Upload-Offset")
    static let length = name("Upload-Length")
    static let deferLength = name("Upload-Defer-Length")
    static let metadata = name("Upload-Metadata")
    static let concat = name("Upload-Concat")
    static let checksum = name("Upload-Checksum")
    static let expires = name("Upload-Expires")

    /// A non-negative integer of bytes: `1*DIGIT` that fits 63 bits; nil for anything else.
    static func number(_ text: String) -> Int64? {
        text.utf8.allSatisfy(HTTPSyntax.isDigit) ? Int64(text) : nil
    }

    /// The number in a field; nil where the field is not there. Throws `INVALID_REQUEST` naming the field.
    static func number(_ name: HTTPField.Name, in headers: HTTPFields) throws(DriveError) -> Int64? {
        guard let text = headers[name] else { return nil }
        guard let number = number(text) else {
            throw malformed(name, "\(name.rawName) must be a whole number of bytes, digits alone.")
        }
        return number
    }

    /// The refusal of a field's value.
    static func malformed(_ name: HTTPField.Name, _ message: String) -> DriveError {
        DriveError(.invalidRequest, message, details: ["rule": .string(name.rawName)])
    }

    /// A name that is a literal of ours; one that were not valid shows in every test that reads the field.
    private static func name(_ text: String) -> HTTPField.Name {
        HTTPField.Name(text) ?? .accept
    }
}
