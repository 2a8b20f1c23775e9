/// A value that must not be shown: printing it, or a value that holds it, gives `(hidden)`.
struct PushSecret<Value: Sendable>: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The value itself, for the one place that needs it.
    let value: Value

    init(_ value: Value) {
        self.value = value
    }

    var description: String { "(hidden)" }
    var debugDescription: String { "(hidden)" }
    var customMirror: Mirror { Mirror(self, children: [(label: String?, value: Any)]()) }
}

/// What is wrong with a provider's settings. It names the field, and never holds what stood there.
public struct PushCredentialsError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The field, as the provider's documentation calls it: `private_key`.
    public var field: String
    /// What it should be.
    public var expected: String

    init(_ field: String, expected: String) {
        self.field = field
        self.expected = expected
    }

    public var description: String { "\(field) is not \(expected)" }
}
