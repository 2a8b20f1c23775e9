/// Why something is no mail: which field, and which rule it breaks. Both words are stable.
struct MailRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// As ring.proto has it; the sender's is of the configuration.
    enum Field: String, Hashable, Sendable {
        case fromAddress = "ring.mailFrom"
        case toAddress = "email.to_address"
        case toName = "email.to_name"
        case subject = "email.subject"
        case body = "email.body"
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
