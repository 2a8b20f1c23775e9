import DriveDatabase
import DriveModel
import Foundation

/// Which files an operation is for: filters that must all hold. A pure value but for `bytes(of:)`.
struct FileSelection: Hashable, Sendable {
    /// The parameters that are filters.
    static let names: Set<String> = ["olderThanDays", "name", "contentType", "minSize", "maxSize", "bundleId", "poolId"]
    /// Wildcards of a name's pattern: each one multiplies what a database tries.
    private static let maximumWildcards = 16

    /// Days since the upload.
    var olderThanDays: Int64?
    /// A `LIKE` pattern over folded names.
    var namePattern: String?
    /// `image/png` or `image/*`, in lower case.
    var contentType: String?
    /// Bytes.
    var minSize: Int64?
    var maxSize: Int64?
    var bundleId: UUID?
    var poolId: UUID?

    var isEmpty: Bool { self == FileSelection() }

    init() {}

    init(_ parameters: TaskParameters) throws(DriveError) {
        olderThanDays = try parameters.number("olderThanDays", in: 1...36_500)
        if let name = try parameters.text("name", maximumBytes: FileName.maximumBytes * 16) { namePattern = try Self.likePattern(name) }
        if let type = try parameters.text("contentType", maximumBytes: 128) { contentType = try Self.mediaType(type) }
        minSize = try parameters.number("minSize", in: 0...(1 << 60))
        maxSize = try parameters.number("maxSize", in: 0...(1 << 60))
        if let minSize, let maxSize, minSize > maxSize { throw TaskParameters.invalid("minSize", "is more than maxSize") }
        bundleId = try parameters.uuid("bundleId")
        poolId = try parameters.uuid("poolId")
    }

    /// `*` stands for any text, `?` for one character; letters match in any case, as in a search.
    static func likePattern(_ text: String) throws(DriveError) -> String {
        var (pattern, piece, wildcards) = ("", "", 0)
        func flush() {
            pattern += FileName.folded(piece).replacing("\\", with: "\\\\").replacing("%", with: "\\%").replacing("_", with: "\\_")
            piece = ""
        }
        for scalar in text.unicodeScalars {
            guard scalar == "*" || scalar == "?" else {
                piece.unicodeScalars.append(scalar)
                continue
            }
            flush()
            if scalar == "*", pattern.hasSuffix("%"), !pattern.hasSuffix("\\%") { continue }
            pattern += scalar == "*" ? "%" : "_"
            wildcards += 1
        }
        flush()
        guard wildcards <= maximumWildcards else {
            throw TaskParameters.invalid("name", "has more than \(maximumWildcards) wildcards")
        }
        return pattern
    }

    private static func mediaType(_ text: String) throws(DriveError) -> String {
        let parts = text.lowercased().split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty, !parts[0].contains("*"), parts[1] == "*" || !parts[1].contains("*")
        else { throw TaskParameters.invalid("contentType", "must be a media type such as image/png or image/*") }
        return parts.joined(separator: "/")
    }

    /// The filters as a condition on `files`, its arguments behind those that are there.
    /// - Parameter start: when the task began; days are counted back from it.
    func condition(start: Timestamp, arguments: inout [SQLValue]) -> String {
        var conditions: [String] = []
        func add(_ value: SQLValue, _ text: (String) -> String) {
            arguments.append(value)
            conditions.append(text("$\(arguments.count)"))
        }
        if let olderThanDays { add(.timestamp(start - .seconds(olderThanDays * 86_400))) { "created_at < \($0)" } }
        if let namePattern { add(.text(namePattern)) { "name_folded LIKE \($0) ESCAPE '\\'" } }
        if let contentType {
            // The subtype's star or the type's parameters; a media type has no wildcard of LIKE but `_`.
            let escaped = contentType.replacing("\\", with: "\\\\").replacing("%", with: "\\%").replacing("_", with: "\\_")
            if contentType.hasSuffix("/*") {
                add(.text(escaped.dropLast() + "%")) { "LOWER(content_type) LIKE \($0) ESCAPE '\\'" }
            } else {
                add(.text(contentType)) { exact in
                    arguments.append(.text(escaped + ";%"))
                    return "(LOWER(content_type) = \(exact) OR REPLACE(LOWER(content_type), ' ', '') LIKE $\(arguments.count) ESCAPE '\\')"
                }
            }
        }
        if let minSize { add(.integer(minSize)) { "size >= \($0)" } }
        if let maxSize { add(.integer(maxSize)) { "size <= \($0)" } }
        if let bundleId { add(.uuid(bundleId)) { "bundle_id = \($0)" } }
        if let poolId { add(.uuid(poolId)) { "pool_id = \($0)" } }
        return conditions.isEmpty ? "1 = 1" : conditions.joined(separator: " AND ")
    }

    /// Bytes of those of the files that the account has.
    static func bytes(of ids: [String], account: UUID, now: Timestamp, in sql: any SQLSession) throws -> Int64 {
        var total: Int64 = 0
        for start in stride(from: 0, to: ids.count, by: 500) {
            let slice = ids[start..<min(start + 500, ids.count)]
            let row = try sql.first(
                """
                SELECT COALESCE(SUM(size), 0) AS bytes FROM files WHERE account_id = $1 AND (expired_at IS NULL OR expired_at > $2)
                AND id IN (\(placeholders(slice.count, from: 3)))
                """, [.uuid(account), .timestamp(now)] + slice.map { .text($0) })
            total += try row?.int64("bytes") ?? 0
        }
        return total
    }

    /// `$3, $4, …`
    static func placeholders(_ count: Int, from first: Int) -> String {
        (first..<first + count).map { "$\($0)" }.joined(separator: ", ")
    }
}
