import DriveModel
import Foundation
import HummingbirdCore

/// The names by which a client says what it wants. One that is not known is refused: it would be a filter that filters nothing.
enum LiveRequestNames {
    /// Of a query, as `LiveOptions` and `SignIn` read it; `lastEventId` stands there where a client cannot set the field
    /// `Last-Event-ID`.
    static let query: Set<String> = ["deviceId", "lastEventId", "since", "task", "token", "types"]
    /// Of an `auth` message.
    static let signIn: Set<String> = ["deviceId", "since", "taskIds", "token", "types"]
    /// Of a `subscribe` message.
    static let subscription: Set<String> = ["taskIds", "types"]
    /// Of a message of any kind, beside its options: what a gateway frames it with.
    private static let envelope: Set<String> = ["data", "endpoint", "errorMessage", "type"]

    /// Throws `INVALID_REQUEST` for a query with another option.
    static func check(query uri: URI) throws(DriveError) {
        try check(uri.queryParameters.map { String($0.key) }, among: query)
    }

    /// Throws `INVALID_REQUEST` for a message with another option, in `data` or beside `type`.
    static func check(_ message: Data, among known: Set<String>) throws(DriveError) {
        guard let members = try? DriveJSON.requestDecoder().decode(Members.self, from: message) else { return }
        try check(members.names.filter { !envelope.contains($0) } + members.ofData, among: known)
    }

    private static func check(_ names: [String], among known: Set<String>) throws(DriveError) {
        guard let stranger = names.filter({ !known.contains($0) }).min() else { return }
        let name = String(stranger.prefix(64))
        throw DriveError(
            .invalidRequest, "There is no option \"\(name)\"; there are: \(known.sorted().joined(separator: ", ")).",
            details: ["rule": "option", "option": .string(name)])
    }

    /// The names of an object's members, as the decoder reads them, and of those of its `data`.
    private struct Members: Decodable {
        private struct Key: CodingKey {
            static let data = Key(stringValue: "data")

            let stringValue: String
            var intValue: Int? { nil }

            init(stringValue: String) { self.stringValue = stringValue }
            init?(intValue: Int) { nil }
        }

        let names: [String]
        /// None where there is no object.
        let ofData: [String]

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Key.self)
            names = container.allKeys.map(\.stringValue)
            ofData = (try? container.nestedContainer(keyedBy: Key.self, forKey: .data).allKeys.map(\.stringValue)) ?? []
        }
    }
}
