import DriveModel

/// Shortens a notification until its payload fits, by whole characters and whole fields, so that what is sent stays valid.
///
/// Texts are shown to people, `meta` is read by programs, who can ask for what is missing. So the body gives way first,
/// down to some text; then `meta` goes, and the body has room again; then the subtitle, the address and the title.
enum PayloadFitting {
    /// The body is not cut shorter than this, in bytes of UTF-8, while `meta` could go instead.
    static let bodyBeforeMeta = 200

    /// The payload of at most `limit` bytes; nil where not even the topic fits.
    static func payload(_ notification: PushNotification, limit: Int, render: (PushNotification) -> [UInt8]) -> [UInt8]? {
        // More than this never fits; the search below should not walk through megabytes.
        var candidate = notification
        for field in [\PushNotification.title, \.subtitle, \.body] where candidate[keyPath: field].utf8.count > limit {
            candidate[keyPath: field] = prefix(candidate[keyPath: field], bytes: limit)
        }
        func fits(_ candidate: PushNotification) -> Bool { render(candidate).count <= limit }

        if fits(candidate) { return render(candidate) }
        if let cut = shortened(candidate, \.body, atLeast: bodyBeforeMeta, while: fits) { return render(cut) }
        candidate.meta = nil
        if fits(candidate) { return render(candidate) }
        if let cut = shortened(candidate, \.body, while: fits) { return render(cut) }
        candidate.body = ""
        if let cut = shortened(candidate, \.subtitle, while: fits) { return render(cut) }
        candidate.subtitle = ""
        candidate.actionURI = nil
        if fits(candidate) { return render(candidate) }
        return shortened(candidate, \.title, while: fits).map(render)
    }

    /// The notification with as many first characters of one text as fit, and an ellipsis behind them.
    private static func shortened(
        _ notification: PushNotification, _ field: WritableKeyPath<PushNotification, String>, atLeast minimum: Int = 0,
        while fits: (PushNotification) -> Bool
    ) -> PushNotification? {
        let characters = Array(notification[keyPath: field])
        func cut(_ count: Int) -> PushNotification {
            var cut = notification
            cut[keyPath: field] = count == 0 ? "" : String(characters[..<count]) + "…"
            return cut
        }
        // A binary search: `low` fits, `high` does not.
        var (low, high) = (-1, characters.count)
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if fits(cut(middle)) { low = middle } else { high = middle }
        }
        guard low >= 0 else { return nil }
        let best = cut(low)
        return best[keyPath: field].utf8.count >= minimum ? best : nil
    }

    /// The first whole characters that take at most `bytes` and one character more, so that the text is known to be cut.
    private static func prefix(_ text: String, bytes: Int) -> String {
        var taken = 0
        return String(
            text.prefix { character in
                guard taken <= bytes else { return false }
                taken += character.utf8.count
                return true
            })
    }
}

extension PushNotification {
    /// ``meta`` as a payload holds it: an object with something in it.
    var metaObject: JSONValue? { meta?.object?.isEmpty == false ? meta : nil }
}
