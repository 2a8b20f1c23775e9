import DriveModel
import HTTPTypes

/// `Upload-Metadata`: comma-separated pairs of a key and a Base64 value.
struct TusMetadata: Equatable, Sendable {
    struct Pair: Equatable, Sendable {
        var key: String
        /// Any bytes; most clients send UTF-8.
        var value: [UInt8]
    }

    /// The field as it came, given back as it is; nil where there was none or a blank one.
    let text: String?
    /// In the order they came.
    let pairs: [Pair]

    /// Some clients turn a value that is not there into one of these words.
    private static let nothing: Set<String> = ["", "null", "undefined"]

    /// - Parameter field: nil where the request has none. A blank one says nothing either: there is a client that always sends it.
    /// - Throws: `INVALID_REQUEST` naming the pair that breaks the syntax, or repeats a key.
    init(_ field: String?) throws(DriveError) {
        guard let field, !field.utf8.allSatisfy(HTTPSyntax.isWhitespace) else {
            text = nil
            pairs = []
            return
        }
        var found: [Pair] = []
        var keys: Set<String> = []
        for (index, piece) in field.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).enumerated() {
            let pair = try Self.pair(HTTPSyntax.trim(Array(piece)[...]), number: index + 1)
            guard keys.insert(pair.key).inserted else {
                throw Self.refusal(number: index + 1, key: pair.key, "repeats a key; every key must be given once")
            }
            found.append(pair)
        }
        text = field
        pairs = found
    }

    /// The first of some keys that has a value, as text; bytes that are not UTF-8 become U+FFFD.
    func first(of keys: String...) -> String? {
        for key in keys {
            guard let pair = pairs.first(where: { $0.key == key }) else { continue }
            let value = String(decoding: pair.value, as: UTF8.self)
            if !Self.nothing.contains(value) { return value }
        }
        return nil
    }

    /// A key, and after one space its value; without a value the space may be left out.
    private static func pair(_ bytes: ArraySlice<UInt8>, number: Int) throws(DriveError) -> Pair {
        let key = bytes.prefix { $0 != 0x20 }
        let name = String(decoding: key, as: UTF8.self)
        guard !key.isEmpty else { throw refusal(number: number, key: name, "has no key") }
        guard !key.contains(where: HTTPSyntax.isControl) else {
            throw refusal(number: number, key: name, "has a control character in its key")
        }
        guard let value = Base64.decode(bytes[key.endIndex...].dropFirst()) else {
            throw refusal(number: number, key: name, "is not a key, one space and a value in Base64")
        }
        return Pair(key: name, value: value)
    }

    private static func refusal(number: Int, key: String, _ fault: String) -> DriveError {
        let key = String(key.prefix(64))
        let name = key.isEmpty ? "" : " (\(key))"
        return DriveError(
            .invalidRequest, "Pair \(number)\(name) of Upload-Metadata \(fault).",
            details: ["rule": .string(TusFields.metadata.rawName), "pair": .integer(Int64(number)), "key": .string(key)])
    }
}
