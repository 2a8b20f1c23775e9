/// An entity tag (RFC 9110 §8.8.3).
struct EntityTag: Hashable, Sendable, CustomStringConvertible {
    /// What stands between the quotes.
    let opaque: String
    let isWeak: Bool

    /// A strong tag made of a digest's bytes in hexadecimal.
    init(digest: some Sequence<UInt8>) {
        let digits = Array("0123456789abcdef".utf8)
        opaque = String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
        isWeak = false
    }

    /// Parses `"x"` or `W/"x"`; nil for anything else.
    init?(_ text: String) {
        self.init(bytes: Array(text.utf8)[...])
    }

    private init?(bytes: ArraySlice<UInt8>) {
        var rest = bytes
        let weak = rest.starts(with: Array("W/".utf8))
        if weak { rest = rest.dropFirst(2) }
        guard rest.count >= 2, rest.first == HTTPSyntax.quote, rest.last == HTTPSyntax.quote else { return nil }
        let content = rest.dropFirst().dropLast()
        guard content.allSatisfy({ $0 == 0x21 || $0 >= 0x23 && $0 != 0x7F }) else { return nil }
        opaque = String(decoding: content, as: UTF8.self)
        isWeak = weak
    }

    /// As it stands in a header.
    var description: String { (isWeak ? "W/\"" : "\"") + opaque + "\"" }

    /// Strong comparison (RFC 9110 §8.8.3.2).
    func matchesStrongly(_ other: EntityTag) -> Bool { !isWeak && !other.isWeak && opaque == other.opaque }

    /// Weak comparison (RFC 9110 §8.8.3.2).
    func matchesWeakly(_ other: EntityTag) -> Bool { opaque == other.opaque }

    /// The value of `If-Match` or `If-None-Match`.
    enum Condition: Hashable, Sendable {
        /// `*`: any current representation.
        case any
        case tags([EntityTag])

        /// Parses a list of tags or `*`; nil where an element is neither.
        init?(_ text: String) {
            let bytes = HTTPSyntax.trim(Array(text.utf8)[...])
            guard bytes != [UInt8(ascii: "*")] else {
                self = .any
                return
            }
            var tags: [EntityTag] = []
            var start = bytes.startIndex
            var quoted = false
            // Not the quoted-string splitter: a backslash in an entity tag is an ordinary character.
            for index in bytes.startIndex...bytes.endIndex {
                if index < bytes.endIndex, bytes[index] == HTTPSyntax.quote { quoted.toggle() }
                guard index == bytes.endIndex || bytes[index] == UInt8(ascii: ",") && !quoted else { continue }
                let element = HTTPSyntax.trim(bytes[start..<index])
                start = index + 1
                if element.isEmpty { continue }
                guard let tag = EntityTag(bytes: element) else { return nil }
                tags.append(tag)
            }
            guard !tags.isEmpty else { return nil }
            self = .tags(tags)
        }

        /// Whether the tag of the current representation is meant. A representation without a tag is meant by `*` alone.
        func contains(_ current: EntityTag?, by matches: (EntityTag, EntityTag) -> Bool) -> Bool {
            switch self {
            case .any: true
            case .tags(let tags): current.map { tag in tags.contains { matches($0, tag) } } ?? false
            }
        }
    }
}
