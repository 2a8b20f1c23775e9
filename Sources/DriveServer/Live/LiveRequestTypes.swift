/// The types that a client asks for, beside those that there are.
///
/// An unknown one is answered by a warning and not by an error: another program may send packets of it, a newer server may have
/// it, and a client that names it is to get along with this one.
enum LiveRequestTypes {
    /// As docs/live.md lists them.
    static let known: Set<String> = [
        "batch.completed", "bundle.created", "bundle.deleted", "bundle.updated", "file.created", "file.deleted", "file.moved",
        "file.updated", "notification.received", "quota.warning", "task.cancelled", "task.completed", "task.created", "task.expired",
        "task.failed",
        "task.paused", "task.progress", "task.resumed", "task.retrying", "task.stalled", "upload.completed", "upload.failed",
        "upload.progress",
    ]
    private static let patterns = Set(known.map { type in type.prefix { $0 != "." } + ".*" }.map(String.init))

    /// Unknown types that a warning names.
    private static let mostNamed = 3

    /// What is to be said of these types of a filter; nil where all are known.
    static func warning(_ types: Set<String>?) -> String? {
        let strangers = (types ?? []).subtracting(known).subtracting(patterns).sorted()
        guard !strangers.isEmpty else { return nil }
        var sentences = strangers.prefix(mostNamed).map { type in
            "No event of Drive has the type \(type)" + advice(for: type)
        }
        if strangers.count > mostNamed { sentences.append("Nor has one \(strangers.count - mostNamed) more of them.") }
        return sentences.joined(separator: " ")
    }

    private static func advice(for type: String) -> String {
        if let nearest = nearest(to: type) { return "; did you mean \(nearest)?" }
        let area = type.prefix { $0 != "." } + "."
        let neighbours = known.filter { $0.hasPrefix(area) }.sorted()
        return neighbours.isEmpty ? "." : "; there are: \(neighbours.joined(separator: ", "))."
    }

    /// The known type, or pattern, that is written most like this one; nil where none is.
    static func nearest(to type: String) -> String? {
        let wanted = Array(type.lowercased().utf8)
        var best: (distance: Int, type: String)?
        for candidate in type.hasSuffix("*") ? patterns : known {
            let found = (distance: distance(wanted, Array(candidate.utf8)), type: candidate)
            if best.map({ found < $0 }) ?? true { best = found }
        }
        return best.flatMap { $0.distance <= max(2, wanted.count / 4) ? $0.type : nil }
    }

    /// How many bytes are to be put in, taken out or replaced to make one of the other (Levenshtein).
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var row = Array(0...right.count)
        for (index, byte) in left.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for column in right.indices {
                let replaced = diagonal + (byte == right[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, diagonal + 1, row[column] + 1)
            }
        }
        return row[right.count]
    }
}
