import Foundation

extension FileName {
    /// The form in which names are searched and sorted: equal for names that differ only in case, width or other
    /// presentation, in any script. It is stored beside the name, so that every database finds the same.
    ///
    /// The rule is that of Unicode's `NFKC_Casefold` (Unicode Standard, section 3.13): normal form KD, without the characters
    /// that are ignored by default, case folded by the full mappings to lower, upper and lower case, then normal form KC.
    /// So `STRASSE` and `Straße` are equal, `ΣΟΦΟΣ` and `σοφος`, `ﬁle` and `FILE`. Unlike there, the dotless `ı` is an `i`, as it
    /// is in upper case. Accents stay: `é` is no `e`.
    public static func folded(_ text: String) -> String {
        if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.lowercased() }
        var folded = ""
        for scalar in text.decomposedStringWithCompatibilityMapping.unicodeScalars
        where !scalar.properties.isDefaultIgnorableCodePoint {
            for lower in scalar.properties.lowercaseMapping.unicodeScalars {
                for upper in lower.properties.uppercaseMapping.unicodeScalars { folded += upper.properties.lowercaseMapping }
            }
        }
        return folded.precomposedStringWithCompatibilityMapping
    }
}
