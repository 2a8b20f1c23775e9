import DriveModel

/// Many rows in one parameter, as JSON: one statement changes them all, on both engines.
public struct SQLRows: Sendable {
    /// How a member of the objects is read.
    public enum ColumnType: Sendable {
        case text, bigint, double, uuid, json
    }

    private var text = "["
    public private(set) var count = 0

    public init() {}

    public var isEmpty: Bool { count == 0 }
    /// The parameter.
    public var value: SQLValue { .json(text + "]") }

    /// Adds one row.
    public mutating func append(_ write: (inout JSONObjectWriter) -> Void) {
        var row = JSONObjectWriter()
        write(&row)
        if count > 0 { text += "," }
        text += row.text
        count += 1
    }
}

extension SQLDialect {
    /// A table `x` out of a parameter made by `SQLRows`.
    public func rows(_ parameter: String, _ columns: KeyValuePairs<String, SQLRows.ColumnType>) -> String {
        switch self {
        case .postgresql:
            let types = columns.map { name, type in
                let word =
                    switch type {
                    case .text: "text"
                    case .bigint: "bigint"
                    case .double: "double precision"
                    case .uuid: "uuid"
                    case .json: "jsonb"
                    }
                return "\(name) \(word)"
            }
            return "jsonb_to_recordset(\(parameter)::jsonb) AS x(\(types.joined(separator: ", ")))"
        case .sqlite:
            let members = columns.map { "json_extract(value, '$.\($0.key)') AS \($0.key)" }
            return "(SELECT \(members.joined(separator: ", ")) FROM json_each(\(parameter))) AS x"
        }
    }

    /// A condition that a column is one of a parameter's texts; the parameter is made by `SQLDialect.list`.
    public func isAny(_ parameter: String) -> String {
        self == .postgresql
            ? "= ANY(string_to_array(\(parameter), ','))"
            : "IN (SELECT value FROM json_each('[\"' || replace(\(parameter), ',', '\",\"') || '\"]'))"
    }

    /// The same for a column of UUIDs.
    public func isAnyUUID(_ parameter: String) -> String {
        self == .postgresql ? "= ANY(string_to_array(\(parameter), ',')::uuid[])" : isAny(parameter)
    }

    /// Identifiers (letters, digits, hyphens) for `isAny`.
    public func list(_ identifiers: some Sequence<String>) -> SQLValue { .text(identifiers.joined(separator: ",")) }

    /// The next number of the order in which tasks came; SQLite's counter is then moved on by a statement of its own.
    public var nextOrder: String {
        self == .postgresql ? "nextval('task_order')" : "(SELECT last + 1 FROM task_order)"
    }
}
