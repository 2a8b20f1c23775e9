/// Why something is no mail: which field, and which rule it breaks. Both words are stable.
struct MailRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    enum Field: String, Hashable, Sendable {
        case fromAddress, toAddress, toName, subject, body
    }

    enum Rule: String, Hashable, Sendable {
        case length, control, localPart, domain, at
    }

    let field: Field
    let rule: Rule
    /// One sentence for whoever sent it; holds nothing of what they sent.
    let message: String

    var description: String { message }
}
