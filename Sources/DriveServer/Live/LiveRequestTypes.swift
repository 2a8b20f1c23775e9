/// The types that a client asks for, beside those that there are.
///
/// One that begins like Drive's own and is none of them is answered by a warning and not by an error: a newer server may have it, and
/// a client that names it is to get along with this one. Any other is another program's, which says itself what there is.
enum LiveRequestTypes {
    /// As docs/live.md lists them.
    static let known: Set<String> = [
        "batch.completed", "bundle.created", "bundle.deleted", "bundle.updated", "file.created", "file.deleted", "file.moved",
        "file.updated", "notification.received", "quota.warning", "task.cancelled", "task.completed", "task.created", "task.expired",
        "task.failed", "task.paused", "task.progress", "task.resumed", "task.retrying", "task.stalled", "upload.completed", "upload.failed",
        "upload.progress",
    ]
    /// The first parts of Drive's types.
    private static let families = Set(known.map(family))
    private static let patterns = Set(families.map { $0 + ".*" })

    /// Types that a warning names.
    private static let mostNamed = 3

    /// What is to be said of these types of a filter; nil where there is nothing.
    static func warning(_ types: Set<String>?) -> String? {
        let sentences = (types ?? []).subtracting(known).subtracting(patterns).sorted().compactMap(sentence)
        guard !sentences.isEmpty else { return nil }
        let named = sentences.prefix(mostNamed).joined(separator: " ")
        return sentences.count > mostNamed ? named + " So it is with \(sentences.count - mostNamed) more." : named
    }

    private static func sentence(of type: String) -> String? {
        if families.contains(family(of: type)) { return "No event of Drive has the type \(type); \(advice(for: type))" }
        let name = type.hasSuffix(".*") ? type.dropLast(2) : type[...]
        return name.contains("*") ? "The * in \(type) is taken literally: it stands for other types only at the end, after a dot." : nil
    }

    private static func family(of type: String) -> String { type.prefix { $0 != "." }.lowercased() }

    private static func advice(for type: String) -> String {
        if let nearest = nearest(to: type) { return "did you mean \(nearest)?" }
        let neighbours = known.filter { family(of: $0) == family(of: type) }.sorted()
        return "there are: \(neighbours.joined(separator: ", "))."
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
