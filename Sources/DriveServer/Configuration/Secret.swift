/// A text that must not be shown: printing it, or a value that holds it, gives `(hidden)`.
package struct Secret: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The text itself, for the one place that needs it.
    package let value: String

    package init(_ value: String) {
        self.value = value
    }

    package var description: String { "(hidden)" }
    package var debugDescription: String { "(hidden)" }
    package var customMirror: Mirror { Mirror(self, children: [(label: String?, value: Any)]()) }
}
