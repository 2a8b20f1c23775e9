import DriveModel
import Foundation

/// A file's name out of what clients send as one: paths, names of other systems, names that are too long.
enum TusFileName {
    /// The last component of a path, without what `FileName` refuses; nil where nothing is left that it accepts.
    static func sanitised(_ text: String) -> String? {
        guard let component = text.split(whereSeparator: { $0 == "/" || $0 == "\\" }).last else { return nil }
        let scalars = component.unicodeScalars.filter(isAllowed)
        let name = String(String.UnicodeScalarView(scalars)).trimmingCharacters(in: .whitespaces)
        return (try? FileName(FileName.shortened(name.precomposedStringWithCanonicalMapping)))?.value
    }

    /// Whether a name may have this character somewhere.
    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        (try? FileName("a" + String(scalar))) != nil
    }
}
