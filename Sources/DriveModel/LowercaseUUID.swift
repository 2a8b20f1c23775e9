import Foundation

// UUIDs on the wire are lower-case (RFC 9562 section 4); Foundation writes capitals. The synthesised `encode(to:)` of a
// type takes these more specific functions, so that no type has to say it.
extension KeyedEncodingContainer {
    /// Writes the UUID in lower case.
    public mutating func encode(_ value: UUID, forKey key: Key) throws {
        try encode(value.uuidString.lowercased(), forKey: key)
    }

    /// Writes the UUID in lower case, or nothing.
    public mutating func encodeIfPresent(_ value: UUID?, forKey key: Key) throws {
        try encodeIfPresent(value?.uuidString.lowercased(), forKey: key)
    }
}
