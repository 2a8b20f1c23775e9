import DriveModel

extension FileName {
    /// The longest ending that outlives shortening, in bytes with its dot: a longer one is none.
    private static let longestExtension = 32

    /// A name within the bytes a name may have; the ending stays, because it says what the file is.
    static func shortened(_ name: String) -> String {
        guard name.utf8.count > maximumBytes else { return name }
        var ending: Substring = ""
        if let dot = name.lastIndex(of: "."), name[dot...].utf8.count <= longestExtension { ending = name[dot...] }
        var room = maximumBytes - ending.utf8.count
        // Whole characters, so that no accent loses its letter.
        let stem = name.dropLast(ending.count).prefix { character in
            room -= character.utf8.count
            return room >= 0
        }
        return String(stem + ending)
    }
}
