#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Finds one fixed delimiter in many buffers: Horspool's algorithm over pairs of bytes.
///
/// On ordinary data it looks at one pair in every delimiter's length, which is faster than looking at each CR, and it does not slow
/// down on text or runs of CR. (`memmem` would do the same, but Swift's Glibc module does not show it.)
struct DelimiterSearch: Sendable {
    /// The delimiter: at least two bytes, at most 255.
    let delimiter: [UInt8]
    /// By the hash of two bytes: where in the delimiter the last such pair ends, or 0 for nowhere.
    private let places: [UInt8]
    /// How far the window may move after a candidate was none.
    private let stepAfterCandidate: Int

    init(_ delimiter: [UInt8]) {
        self.delimiter = delimiter
        let last = delimiter.count - 1
        var places = [UInt8](repeating: 0, count: 1024)
        for index in 1..<max(last, 1) { places[Self.hash(delimiter[index - 1], delimiter[index])] = UInt8(clamping: index) }
        let final = Self.hash(delimiter[last - 1], delimiter[last])
        stepAfterCandidate = last - Int(places[final])
        places[final] = UInt8(clamping: last)
        self.places = places
    }

    /// Where the delimiter first stands in the bytes, or nil.
    func firstMatch(in bytes: UnsafeRawBufferPointer) -> Int? {
        guard let base = bytes.baseAddress, bytes.count >= delimiter.count else { return nil }
        let last = delimiter.count - 1
        return places.withUnsafeBufferPointer { places in
            delimiter.withUnsafeBytes { needle -> Int? in
                guard let pattern = needle.baseAddress else { return nil }
                var end = last
                while end < bytes.count {
                    var place = Int(places[Self.hash(bytes[end - 1], bytes[end])])
                    // A loop of its own, so that a step, nearly always a whole window, need not wait for the table.
                    while place == 0 {
                        end += last
                        guard end < bytes.count else { return nil }
                        place = Int(places[Self.hash(bytes[end - 1], bytes[end])])
                    }
                    guard place == last else {
                        end += last - place
                        continue
                    }
                    let start = end - last
                    if bytes[start] == needle[0], memcmp(base + start, pattern, needle.count) == 0 { return start }
                    end += stepAfterCandidate
                }
                return nil
            }
        }
    }

    @inline(__always)
    private static func hash(_ first: UInt8, _ second: UInt8) -> Int { Int(first) << 2 ^ Int(second) }
}
