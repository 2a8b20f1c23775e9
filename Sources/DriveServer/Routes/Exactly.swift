import DriveModel

/// A JSON object whose members are all known: where a misspelt one, ignored, would do more or something else than was meant.
struct Exactly<Value: Decodable>: Decodable where Value: KnownMembers {
    let value: Value

    private struct Key: CodingKey {
        let stringValue: String
        let intValue: Int? = nil
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { return nil }
    }

    /// Throws `INVALID_REQUEST` naming the member, and what `Value` throws.
    init(from decoder: any Decoder) throws {
        let names = try decoder.container(keyedBy: Key.self).allKeys.map(\.stringValue)
        if let unknown = names.sorted().first(where: { !Value.members.contains($0) }) {
            throw DriveError(
                .invalidRequest, "There is no field \(unknown) here; there are \(Value.members.sorted().joined(separator: ", ")).",
                details: ["rule": .string(unknown)])
        }
        value = try Value(from: decoder)
    }
}

/// What an object's members are called, in camelCase.
protocol KnownMembers {
    static var members: Set<String> { get }
}

extension CreateTaskRequest: KnownMembers {
    static var members: Set<String> {
        [
            "type", "kind", "name", "description", "priority", "parameters", "runAt", "expiresAt", "dependsOn", "uniqueKey", "maxAttempts",
        ]
    }
}
