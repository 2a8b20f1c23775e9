import DriveModel

extension CreateTaskRequest {
    /// The request with its parameters under the spec's names, which a client may write in snake_case, as every other field.
    ///
    /// A decoder leaves the keys of a dictionary as they came. Those of a Custom task are its worker's own and stay so.
    var withParameterNames: CreateTaskRequest {
        guard type != .custom, let parameters else { return self }
        var request = self
        request.parameters = Self.named(parameters)
        return request
    }

    /// Where a name stands there in both forms, the one in camelCase holds.
    private static func named(_ object: [String: JSONValue]) -> [String: JSONValue] {
        var named: [String: JSONValue] = [:]
        // In order, so that of several forms in snake_case the same one holds each time.
        for (key, value) in object.sorted(by: { $0.key < $1.key }) {
            let name = camelCase(key)
            if name == key || (object[name] == nil && named[name] == nil) { named[name] = self.named(value) }
        }
        return named
    }

    private static func named(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let object): .object(named(object))
        case .array(let values): .array(values.map(named))
        case .null, .bool, .integer, .unsigned, .double, .string: value
        }
    }

    /// As Foundation's decoder reads keys: underscores at the ends stay, those within lead to a capital.
    private static func camelCase(_ key: String) -> String {
        let core = key.drop { $0 == "_" }
        let words = core.split(separator: "_")
        guard words.count > 1, let first = words.first else { return key }
        let leading = key.prefix(key.count - core.count)
        let trailing = key.reversed().prefix { $0 == "_" }
        return leading + first.lowercased() + words.dropFirst().map(\.capitalized).joined() + String(trailing)
    }
}

extension Substring {
    fileprivate var capitalized: String { prefix(1).uppercased() + dropFirst().lowercased() }
}
