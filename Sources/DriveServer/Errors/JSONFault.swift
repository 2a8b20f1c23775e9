import DriveModel
import Foundation

/// Why a JSON body does not fit, in words that name the field, what is wanted there, and what came.
enum JSONFault {
    /// - Parameters:
    ///   - body: what was sent; nil: only the decoder's own words are known.
    ///   - decode: decodes a body as the route does.
    static func driveError(_ error: DecodingError, body: Data? = nil, decode: (Data) throws -> Void = { _ in }) -> DriveError {
        if let fault = JSONTooDeep(error) {
            return DriveError(
                .invalidRequest, "The JSON is \(fault).", details: ["rule": "depth", "maximum": .integer(Int64(fault.maximum))])
        }
        let sent = body.flatMap { try? DriveJSON.plainDecoder().decode(JSONValue.self, from: $0) }
        if let sent, path(of: error).isEmpty, let found = misfit(in: sent, decode: decode) {
            return refusal(name(found.path), "must be \(wanted(found.type)), not \(words(for: found.value))")
        }
        let field = name(path(of: error))
        guard !field.isEmpty else {
            let message =
                sent == nil && body != nil
                ? "The body is not JSON in UTF-8 (RFC 8259)." : "The body is not the JSON object this route takes."
            return DriveError(.invalidRequest, message, details: ["rule": "json"])
        }
        let came = sent.flatMap { value(at: path(of: error), in: $0) }.map { ", not \(words(for: $0))" } ?? ""
        switch error {
        case .keyNotFound: return refusal(field, "is missing")
        case .valueNotFound: return refusal(field, "must not be null")
        case .typeMismatch(let type, _): return refusal(field, "must be \(wanted(type))\(came)")
        case .dataCorrupted(let context):
            if let word = context.underlyingError as? UnknownWord { return refusal(field, "must be one of", word) }
            return refusal(field, "cannot be read\(hint(context))")
        @unknown default: return refusal(field, "cannot be read")
        }
    }

    private static func refusal(_ field: String, _ what: String) -> DriveError {
        DriveError(.invalidRequest, "The field \(field) \(what).", details: ["rule": .string(field)])
    }

    private static func refusal(_ field: String, _ what: String, _ word: UnknownWord) -> DriveError {
        let given = word.given.utf8.count <= 64 ? ", not \(word.given)" : ""
        var error = refusal(field, "\(what) \(word.known.joined(separator: ", "))\(given)")
        error.details["allowed"] = .array(word.known.map { .string($0) })
        return error
    }

    // MARK: Numbers

    /// Of a number that does not fit, Foundation says neither what it is nor where. Each one that can be meant is put aside in
    /// turn, a `true` in its place: the decoder names the field that wants a number there.
    private static func misfit(
        in sent: JSONValue, decode: (Data) throws -> Void
    ) -> (path: [any CodingKey], type: Any.Type, value: JSONValue)? {
        var (kept, doubtful) = (Set<[String]>(), Set<[String]>())
        collect(sent, at: [], into: &doubtful)
        for _ in 0..<mostTried where kept.count < doubtful.count {
            let aside = doubtful.subtracting(kept)
            do {
                try decode(Data(try DriveJSON.text(replacing(aside, in: sent, at: [])).utf8))
                return nil
            } catch DecodingError.typeMismatch(let type, let context) {
                let place = context.codingPath.map(plain)
                guard aside.contains(place), let value = value(at: context.codingPath, in: sent) else { return nil }
                if type is any FixedWidthInteger.Type { return (context.codingPath, type, value) }
                // A number of any kind is wanted there, and one stands there.
                kept.insert(place)
            } catch {
                return nil
            }
        }
        return nil
    }

    /// Bodies with more fractions than this before the wrong one get the shorter message.
    private static let mostTried = 16

    /// The places of numbers that are not whole, or beyond what integers are.
    private static func collect(_ value: JSONValue, at place: [String], into places: inout Set<[String]>) {
        switch value {
        case .double, .unsigned: places.insert(place)
        case .array(let values):
            for (index, value) in values.enumerated() { collect(value, at: place + ["\(index)"], into: &places) }
        case .object(let members):
            for (key, value) in members { collect(value, at: place + [plain(key)], into: &places) }
        case .integer, .string, .bool, .null: break
        }
    }

    private static func replacing(_ places: Set<[String]>, in value: JSONValue, at place: [String]) -> JSONValue {
        switch value {
        case .array(let values):
            .array(values.enumerated().map { replacing(places, in: $1, at: place + ["\($0)"]) })
        case .object(let members):
            .object(
                Dictionary(
                    members.map { ($0.key, replacing(places, in: $0.value, at: place + [plain($0.key)])) },
                    uniquingKeysWith: { first, _ in first }))
        default: places.contains(place) ? .bool(true) : value
        }
    }

    // MARK: Places

    private static func path(of error: DecodingError) -> [any CodingKey] {
        switch error {
        case .keyNotFound(let key, let context): context.codingPath + [key]
        case .valueNotFound(_, let context), .typeMismatch(_, let context), .dataCorrupted(let context): context.codingPath
        @unknown default: []
        }
    }

    /// What was sent at a place, whose keys the decoder knows in camelCase.
    private static func value(at path: [any CodingKey], in sent: JSONValue) -> JSONValue? {
        path.reduce(sent) { value, key in
            switch value {
            case .object(let members): members.first { plain($0.key) == plain(key) }?.value
            case .array(let values): key.intValue.flatMap { values.indices.contains($0) ? values[$0] : nil }
            default: nil
            }
        }
    }

    private static func name(_ path: [any CodingKey]) -> String {
        path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
    }

    private static func plain(_ key: any CodingKey) -> String { key.intValue.map(String.init) ?? plain(key.stringValue) }

    /// The same for `dependsOn` and `depends_on`.
    private static func plain(_ name: String) -> String { name.filter { $0 != "_" }.lowercased() }

    // MARK: Words

    private static func wanted(_ type: Any.Type) -> String {
        switch type {
        case is String.Type: "a text"
        case is Bool.Type: "true or false"
        case is any FixedWidthInteger.Type: "a whole number"
        case is any FloatingPoint.Type: "a number"
        case is any DictionaryLike.Type: "an object"
        case is any ArrayLike.Type: "a list"
        default: "of the expected type"
        }
    }

    /// What came. Texts are not repeated: one may be a secret in the wrong place.
    private static func words(for value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .integer(let number): "\(number)"
        case .unsigned(let number): "\(number)"
        case .double(let number): "\(number)"
        case .string: "a text"
        case .array: "a list"
        case .object: "an object"
        }
    }

    /// The decoder's words where they are for people; others name Swift's types.
    private static func hint(_ context: DecodingError.Context) -> String {
        if context.debugDescription.contains("RFC 3339") { return ": it must be an RFC 3339 time such as 2026-01-31T12:00:00Z" }
        return context.debugDescription.contains("UUID") ? ": it must be a UUID" : ""
    }
}

// Containers without their elements' types.
private protocol DictionaryLike {}
extension Dictionary: DictionaryLike {}
private protocol ArrayLike {}
extension Array: ArrayLike {}
