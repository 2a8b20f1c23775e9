import Foundation

// UUIDs on the wire are lower-case (RFC 9562 section 4); Foundation writes capitals. The synthesised `encode(to:)` of a
// type takes these more specific functions, so that no type has to say it.
extension UUID {
    /// The text in lower case: Foundation's own goes by way of a format string, and every row has some.
    public var lowercaseString: String {
        func digit(_ value: UInt8) -> UInt8 { value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10 }
        return withUnsafeBytes(of: uuid) { bytes in
            String(unsafeUninitializedCapacity: 36) { text in
                var place = 0
                for (index, byte) in bytes.enumerated() {
                    if index == 4 || index == 6 || index == 8 || index == 10 {
                        text[place] = UInt8(ascii: "-")
                        place += 1
                    }
                    text[place] = digit(byte >> 4)
                    text[place + 1] = digit(byte & 15)
                    place += 2
                }
                return place
            }
        }
    }
}

extension KeyedEncodingContainer {
    /// Writes the UUID in lower case.
    public mutating func encode(_ value: UUID, forKey key: Key) throws {
        try encode(value.lowercaseString, forKey: key)
    }

    /// Writes the UUID in lower case, or nothing.
    public mutating func encodeIfPresent(_ value: UUID?, forKey key: Key) throws {
        try encodeIfPresent(value?.lowercaseString, forKey: key)
    }
}
