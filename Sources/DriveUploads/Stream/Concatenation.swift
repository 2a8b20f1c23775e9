/// The words of a concatenation (tus 1.0.0, "Concatenation"), as they stand in the rows.
enum Concatenation {
    static let partial = "partial"

    static func isPartial(_ record: UploadRecord) -> Bool { record.concatenation == partial }
    static func isFinal(_ record: UploadRecord) -> Bool { record.concatenation.map { $0 != partial } ?? false }
}
