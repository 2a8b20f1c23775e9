/// The shares of a quota of whose crossing its account is told, in percent.
public enum QuotaThreshold: Int, CaseIterable, Sendable {
    case high = 80
    case critical = 95
    case full = 100

    /// The highest one that a rise of the use from `before` to `after` bytes crossed: each again only after the use fell below
    /// it. Nil where there is none, as where there is no limit.
    ///
    /// - Parameter limit: the quota in bytes; nil and negative ones are no limit.
    public static func crossed(before: Int64, after: Int64, limit: Int64?) -> QuotaThreshold? {
        guard let limit, limit >= 0 else { return nil }
        return allCases.last { threshold in
            let bytes = threshold.bytes(of: limit)
            return before < bytes && bytes <= after
        }
    }

    /// The least use that reaches it, in bytes; of a quota of 0 that is the first byte. Never overflows.
    private func bytes(of limit: Int64) -> Int64 {
        let (hundreds, rest) = limit.quotientAndRemainder(dividingBy: 100)
        let percent = Int64(rawValue)
        return max(1, hundreds * percent + (rest * percent + 99) / 100)
    }
}
