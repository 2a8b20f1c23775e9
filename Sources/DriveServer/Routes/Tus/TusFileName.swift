import DriveModel
import Foundation

/// A file's name out of what clients send as one: paths, names of other systems, names that are too long.
enum TusFileName {
    /// The longest ending that outlives shortening, in bytes with its dot.
    private static let longestExtension = 32

    /// The last component of a path, without what `FileName` refuses; nil where nothing is left that it accepts.
    static func sanitised(_ text: String) -> String? {
        guard let component = text.split(whereSeparator: { $0 == "/" || $0 == "\\" }).last else { return nil }
        let scalars = component.unicodeScalars.filter(isAllowed)
        let name = String(String.UnicodeScalarView(scalars)).trimmingCharacters(in: .whitespaces)
        return (try? FileName(shortened(name.precomposedStringWithCanonicalMapping)))?.value
    }

    /// Whether a name may have this character somewhere.
    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        (try? FileName("a" + String(scalar))) != nil
    }

    /// The name within the bytes a name may have; the ending stays, because it says what the file is.
    private static func shortened(_ name: String) -> String {
        guard name.utf8.count > FileName.maximumBytes else { return name }
        var ending: Substring = ""
        if let dot = name.lastIndex(of: "."), dot != name.startIndex, name[dot...].utf8.count <= longestExtension { ending = name[dot...] }
        var room = FileName.maximumBytes - ending.utf8.count
        // Whole characters, so that no accent loses its letter.
        let stem = name.dropLast(ending.count).prefix { character in
            room -= character.utf8.count
            return room >= 0
        }
        return String(stem + ending)
    }
}
