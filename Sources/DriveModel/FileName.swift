import Foundation

/// Which rule a file name breaks. The raw value is a stable code; `message` is the rule as a sentence.
public enum FileNameViolation: String, Error, Hashable, Sendable, CaseIterable {
    case empty = "FILE_NAME_EMPTY"
    case dots = "FILE_NAME_DOTS"
    case nul = "FILE_NAME_NUL"
    case lineBreak = "FILE_NAME_LINE_BREAK"
    case control = "FILE_NAME_CONTROL"
    case separator = "FILE_NAME_SEPARATOR"
    case direction = "FILE_NAME_DIRECTION"
    case tooLong = "FILE_NAME_TOO_LONG"

    /// One sentence for people. Contains nothing of the name.
    public var message: String {
        switch self {
        case .empty: "A file name must not be empty or blank."
        case .dots: "A file name must not be \".\" or \"..\"."
        case .nul: "A file name must not contain a NUL character."
        case .lineBreak: "A file name must not contain a line break."
        case .control: "A file name must not contain control characters."
        case .separator: "A file name must not contain \"/\" or \"\\\"; it is a label, not a path."
        case .direction: "A file name must not contain characters that change the direction of text."
        case .tooLong: "A file name must have at most \(FileName.maximumBytes) bytes of UTF-8."
        }
    }
}

/// The name of a file as a person gave it, in Unicode normal form C.
///
/// It is a label and never becomes a path. So what only *looks* like one is text: `%2e%2e` is six ordinary characters and allowed,
/// whereas separators are refused rather than cut away, so that a sender learns of the mistake. Characters that turn the direction of
/// text are refused because `exe.gpj` shown backwards deceives; names in right-to-left scripts do not need them.
public struct FileName: Hashable, Sendable, CustomStringConvertible {
    /// The longest name, in bytes of UTF-8 after normalisation: what common file systems allow.
    public static let maximumBytes = 255

    /// The normalised name.
    public let value: String

    public var description: String { value }

    /// Normalises and checks a name.
    /// - Throws: the first rule broken, in the order of `FileNameViolation`.
    public init(_ text: String) throws(FileNameViolation) {
        // Composition shortens a text a few times at most; a huge one is refused before work is spent on it.
        guard text.utf8.count <= Self.maximumBytes * 16 else { throw .tooLong }
        // ASCII is in form C already.
        let name = text.utf8.allSatisfy { $0 < 0x80 } ? text : text.precomposedStringWithCanonicalMapping
        if let violation = Self.violation(of: name) { throw violation }
        value = name
    }

    private static func violation(of name: String) -> FileNameViolation? {
        let scalars = name.unicodeScalars
        let rules = Set(scalars.compactMap(rule(brokenBy:)))
        if rules.isEmpty, scalars.allSatisfy(\.properties.isWhitespace) { return .empty }
        if name == "." || name == ".." { return .dots }
        if let first = FileNameViolation.allCases.first(where: rules.contains) { return first }
        return name.utf8.count > maximumBytes ? .tooLong : nil
    }

    /// The rule that one character alone breaks.
    private static func rule(brokenBy scalar: Unicode.Scalar) -> FileNameViolation? {
        switch scalar.value {
        case 0: .nul
        case 0x0A, 0x0D, 0x85, 0x2028, 0x2029: .lineBreak
        case 0x2F, 0x5C: .separator
        case 0x061C, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069: .direction
        default: scalar.properties.generalCategory == .control ? .control : nil
        }
    }
}
