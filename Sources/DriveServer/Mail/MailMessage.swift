import DriveModel
import Foundation

/// A mail to one recipient. Once made it keeps to every rule, so that its text can always be written.
struct MailMessage: Hashable, Sendable {
    /// In bytes of UTF-8.
    static let longestName = 255
    /// In bytes of UTF-8; in the header it is folded.
    static let longestSubject = 998
    /// In bytes of UTF-8, before it is encoded.
    static let largestBody = 1 << 20

    /// What tells it from every other; all its copies have the same.
    let id: UUID
    let from: MailAddress
    /// The recipient's name; may be empty.
    let toName: String
    let to: MailAddress
    let subject: String
    /// HTML where it begins as an HTML document does, else plain text.
    let body: String
    let date: Timestamp

    /// - Throws: `MailRefusal` naming the field and the rule.
    init(
        id: UUID, from: MailAddress, toName: String, toAddress: String, subject: String, body: String, date: Timestamp
    ) throws(MailRefusal) {
        to = try MailAddress(toAddress, field: .toAddress)
        try Self.check(toName, .toName, most: Self.longestName)
        try Self.check(subject, .subject, most: Self.longestSubject)
        guard body.utf8.count <= Self.largestBody else {
            throw MailRefusal(field: .body, rule: .length, message: "email.body has at most \(Self.largestBody) bytes.")
        }
        guard !body.utf8.contains(0) else {
            throw MailRefusal(field: .body, rule: .control, message: "email.body must not hold the character U+0000.")
        }
        self.id = id
        self.from = from
        self.toName = toName
        self.subject = subject
        self.body = body
        self.date = date
    }

    /// With its angle brackets (RFC 5322 section 3.6.4).
    var messageId: String { "<\(id.lowercaseString)@\(from.domain)>" }

    /// The message in ASCII, its lines ending in CRLF (RFC 5322, RFC 2045, RFC 3834 section 5).
    var text: String {
        let body = MailBody(body)
        return "Date: \(HTTPDate(secondsSince1970: date.seconds).description.dropLast(3))+0000\r\n"
            + MailHeader.mailbox("From", displayName: "", address: from)
            + MailHeader.mailbox("To", displayName: toName, address: to)
            + MailHeader.text("Subject", subject)
            + "Message-ID: \(messageId)\r\n"
            + "Auto-Submitted: auto-generated\r\n"
            + "MIME-Version: 1.0\r\n"
            + "Content-Type: \(body.contentType)\r\n"
            + "Content-Transfer-Encoding: \(body.encoding.rawValue)\r\n"
            + "\r\n"
            + body.content
    }

    /// A text of the header: what could end its line, or does so for some reader, is refused also where it would be encoded, as
    /// whoever decodes it may put it into a header of their own.
    private static func check(_ text: String, _ field: MailRefusal.Field, most: Int) throws(MailRefusal) {
        guard text.utf8.count <= most else {
            throw MailRefusal(field: field, rule: .length, message: "\(field.rawValue) has at most \(most) bytes.")
        }
        let isBroken = text.unicodeScalars.contains { scalar in
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator: true
            default: false
            }
        }
        if isBroken {
            throw MailRefusal(
                field: field, rule: .control, message: "\(field.rawValue) is one line, without tabs and other control characters.")
        }
    }
}

extension MailMessage {
    /// As a task's parameters.
    var parameters: [String: JSONValue] {
        [
            "id": .string(id.lowercaseString), "from": .string(from.description), "toName": .string(toName),
            "toAddress": .string(to.description), "subject": .string(subject), "body": .string(body), "date": .string(date.description),
        ]
    }

    /// Reads parameters again; nil where they are no message.
    init?(parameters: [String: JSONValue]) {
        func text(_ name: String) -> String? { parameters[name]?.string }
        guard let id = text("id").flatMap({ UUID(uuidString: $0) }), let date = text("date").flatMap({ Timestamp($0) }),
            let from = text("from").flatMap({ try? MailAddress($0, field: .fromAddress) }), let toAddress = text("toAddress"),
            let subject = text("subject"), let body = text("body"),
            let message = try? MailMessage(
                id: id, from: from, toName: text("toName") ?? "", toAddress: toAddress, subject: subject, body: body, date: date)
        else { return nil }
        self = message
    }
}
