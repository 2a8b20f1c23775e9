import DriveModel
import Foundation
import HummingbirdCore

/// Texts of a request that may reach a database: PostgreSQL stores the character U+0000 nowhere and fails on it, so it is refused for
/// every route, over both engines. (Paths are taken as they were sent: `%00` is three characters of an id that nobody has.)
enum StoredText {
    /// Rules of their own say what is wrong with a name, and refuse this character too.
    private static let checkedElsewhere: Set<String> = ["name", "fileName", "file_name"]

    /// Throws `INVALID_REQUEST` naming the parameter of the query.
    static func check(_ uri: URI) throws(DriveError) {
        // Only an escape can bring it: the character itself is no part of a request line. Most queries end here.
        guard let query = uri.query, query.utf8.contains("%00".utf8) else { return }
        for (name, value) in uri.queryParameters where value.utf8.contains(0) && !checkedElsewhere.contains(String(name)) {
            throw refusal(String(name))
        }
    }

    /// Throws `INVALID_REQUEST` naming the member of the JSON object, whatever lies how deep in it.
    static func check(_ body: Data) throws(DriveError) {
        guard let object = suspect(body) else { return }
        for (name, value) in object.sorted(by: { $0.key < $1.key }) where !checkedElsewhere.contains(name) && value.holdsNUL {
            throw refusal(name)
        }
    }

    /// The JSON object, where it may hold the character. Only an escape can bring it: most texts end here. It is looked for by bytes, as
    /// the last digit and an accent behind it are one `Character`.
    static func suspect(_ body: Data) -> [String: JSONValue]? {
        guard body.range(of: Data(#"\u0000"#.utf8)) != nil else { return nil }
        return try? DriveJSON.plainDecoder().decode([String: JSONValue].self, from: body)
    }

    private static func refusal(_ name: String) -> DriveError {
        DriveError(.invalidRequest, "\(name) must not hold the character U+0000.", details: ["rule": .string(name)])
    }
}
