import DriveModel

/// The `Retry-After` header (RFC 9110 section 10.2.3).
enum RetryAfter {
    /// What a provider may ask for; less or more is brought into it.
    static let bounds = Duration.seconds(1)...Duration.seconds(3600)

    /// How long to wait, from seconds or an HTTP date; nil where there is no such value.
    static func delay(_ value: String?, now: Timestamp) -> Duration? {
        guard let value, !value.isEmpty else { return nil }
        let delay: Duration
        if value.utf8.allSatisfy(ASCII.isDigit) {
            // So many digits that they do not fit are still a number of seconds.
            delay = Int64(value).map { .seconds(min($0, 1_000_000)) } ?? bounds.upperBound
        } else if let date = HTTPDate(value) {
            delay = Timestamp(seconds: date.secondsSince1970) - now
        } else {
            return nil
        }
        return min(max(delay, bounds.lowerBound), bounds.upperBound)
    }
}
