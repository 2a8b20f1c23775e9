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
        } else if let date = httpDate(value) {
            delay = date - now
        } else {
            return nil
        }
        return min(max(delay, bounds.lowerBound), bounds.upperBound)
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`: the one form that may be sent (RFC 9110 section 5.6.7).
    private static func httpDate(_ text: String) -> Timestamp? {
        let fields = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard fields.count == 6, fields[0].utf8.count == 4, fields[0].last == ",", fields[5] == "GMT", fields[1].utf8.count == 2,
            let month = months.firstIndex(of: fields[2])
        else { return nil }
        // The rest of the checks are those of RFC 3339, which has the same parts in another order.
        let number = month + 1 < 10 ? "0\(month + 1)" : "\(month + 1)"
        return Timestamp("\(fields[3])-\(number)-\(fields[1])T\(fields[4])Z")
    }
}
