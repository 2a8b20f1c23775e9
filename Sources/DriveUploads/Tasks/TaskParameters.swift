import DriveModel
import Foundation

/// A request's parameters, read by name. What is wrong throws `INVALID_REQUEST` with the name as its rule; so does a name
/// nobody reads, as a filter that is misspelt would select too much.
struct TaskParameters: Sendable {
    /// Ids a task names at most.
    static let maximumIds = 10_000

    let values: [String: JSONValue]

    init(_ values: [String: JSONValue], known: Set<String>) throws(DriveError) {
        if let unknown = values.keys.sorted().first(where: { !known.contains($0) }) {
            throw Self.invalid(unknown.count <= 64 ? unknown : "parameters", "is no parameter of this task")
        }
        self.values = values
    }

    static func invalid(_ name: String, _ problem: String) -> DriveError {
        DriveError(.invalidRequest, "\(name) \(problem).", details: ["rule": .string(name)])
    }

    /// The value; a null is like none.
    subscript(_ name: String) -> JSONValue? {
        guard let value = values[name], value != .null else { return nil }
        return value
    }

    func text(_ name: String, maximumBytes: Int = 4096, allowsEmpty: Bool = false) throws(DriveError) -> String? {
        guard let value = self[name] else { return nil }
        guard let text = value.string, allowsEmpty || !text.isEmpty, text.utf8.count <= maximumBytes, !text.unicodeScalars.contains("\0")
        else { throw Self.invalid(name, "must be a text of at most \(maximumBytes) bytes without NUL") }
        return text
    }

    func flag(_ name: String) throws(DriveError) -> Bool {
        guard let value = self[name] else { return false }
        guard case .bool(let flag) = value else { throw Self.invalid(name, "must be true or false") }
        return flag
    }

    func number(_ name: String, in range: ClosedRange<Int64>) throws(DriveError) -> Int64? {
        guard let value = self[name] else { return nil }
        guard let number = value.integer, range.contains(number) else {
            throw Self.invalid(name, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func uuid(_ name: String) throws(DriveError) -> UUID? {
        guard let value = self[name] else { return nil }
        guard let uuid = value.string.flatMap(UUID.init(uuidString:)) else { throw Self.invalid(name, "must be a UUID") }
        return uuid
    }

    func required(_ name: String) throws(DriveError) -> UUID {
        guard let uuid = try uuid(name) else { throw Self.invalid(name, "is missing") }
        return uuid
    }

    func time(_ name: String) throws(DriveError) -> Timestamp? {
        guard let value = self[name] else { return nil }
        guard let time = value.string.flatMap({ Timestamp($0) }) else { throw Self.invalid(name, "must be an RFC 3339 time") }
        return time
    }

    /// Ids of files: 1 to 10,000, none twice. Whether they exist is found out file by file.
    func ids(_ name: String) throws(DriveError) -> [String]? {
        guard let value = self[name] else { return nil }
        guard case .array(let elements) = value, (1...Self.maximumIds).contains(elements.count) else {
            throw Self.invalid(name, "must be a list of 1 to \(Self.maximumIds) ids")
        }
        var ids: [String] = []
        for element in elements {
            guard let id = element.string, !id.isEmpty, id.utf8.count <= 64, !id.unicodeScalars.contains("\0") else {
                throw Self.invalid(name, "holds something that is no id of a file")
            }
            ids.append(id)
        }
        guard Set(ids).count == ids.count else { throw Self.invalid(name, "names a file twice") }
        return ids
    }
}
