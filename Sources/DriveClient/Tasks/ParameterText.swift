import DriveModel
import Foundation

/// A parameter as a person writes it: `key=text`, or `key:=JSON` for numbers, lists and the rest.
package enum ParameterText {
    /// - Throws: `.invalidArgument` naming the text.
    package static func read(_ text: String) throws(DriveClientError) -> (key: String, value: JSONValue) {
        guard let sign = text.firstIndex(of: "=") else { throw wrong(text, "it should be KEY=TEXT or KEY:=JSON") }
        let left = text[..<sign]
        let right = String(text[text.index(after: sign)...])
        let isJSON = left.last == ":"
        let key = String(isJSON ? left.dropLast() : left)
        guard !key.isEmpty else { throw wrong(text, "it has no key") }
        guard isJSON else { return (key, .string(right)) }
        do {
            return (key, try DriveJSON.value(from: right))
        } catch {
            throw wrong(text, "what follows := is not JSON")
        }
    }

    /// All of them as one object.
    /// - Throws: `.invalidArgument` for one that cannot be read, and for a key that is there twice.
    package static func read(_ texts: [String]) throws(DriveClientError) -> [String: JSONValue] {
        var parameters: [String: JSONValue] = [:]
        for text in texts {
            let (key, value) = try read(text)
            guard parameters.updateValue(value, forKey: key) == nil else { throw wrong(text, "\(key) is there already") }
        }
        return parameters
    }

    private static func wrong(_ text: String, _ reason: String) -> DriveClientError {
        .invalidArgument("The parameter \"\(text)\" cannot be used: \(reason).")
    }
}
