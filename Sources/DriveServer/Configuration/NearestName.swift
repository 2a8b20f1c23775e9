/// Finds the name a mistyped one most likely stands for.
enum NearestName {
    /// The candidate at the least edit distance, if it is near enough to be meant; letters' case does not count.
    static func find(_ name: String, in candidates: [String]) -> String? {
        let wanted = Array(name.lowercased().unicodeScalars.prefix(100))
        let limit = max(1, wanted.count / 3)
        let measured = candidates.map { (name: $0, distance: distance(wanted, Array($0.lowercased().unicodeScalars))) }
        guard let best = measured.min(by: { $0.distance < $1.distance }), best.distance <= limit else { return nil }
        return best.name
    }

    /// The key meant by an unknown one: a key of another group that ends alike, or the nearest as a whole.
    static func findKey(_ key: String, in keys: [String]) -> String? {
        let last = key.split(separator: ".").last.map { $0.lowercased() }
        return keys.first { $0.split(separator: ".").last.map { $0.lowercased() } == last } ?? find(key, in: keys)
    }

    /// The number of insertions, deletions, replacements and swaps of neighbours between two texts (optimal string alignment).
    static func distance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
        guard !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for row in 1...left.count {
            var current = [row]
            for column in 1...right.count {
                let isSame = left[row - 1] == right[column - 1]
                var cost = min(last[column] + 1, current[column - 1] + 1, last[column - 1] + (isSame ? 0 : 1))
                if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
                    cost = min(cost, beforeLast[column - 2] + 1)
                }
                current.append(cost)
            }
            (beforeLast, last) = (last, current)
        }
        return last[right.count]
    }
}
