import Testing

@testable import DriveServer

@Suite struct MailAddressTests {
    private static let label63 = String(repeating: "b", count: 63)

    @Test(arguments: [
        "a@b", "bob@example.com", "Bob.O'Neil+x=y@Example.COM", "#&'*+-=?^_~@example.com", "1@2.example", "root@localhost",
        "a@xn--bcher-kva.example", "a-@b-c.d9", String(repeating: "a", count: 64) + "@b.org", "a@\(label63).org",
        String(repeating: "a", count: 62) + "@\(label63).\(label63).\(label63)",
    ])
    func taken(_ text: String) throws {
        #expect(try MailAddress(text, field: .toAddress).description == text)
    }

    @Test(arguments: [
        ("", "at"), ("bob", "at"), ("a@b@c", "at"), ("Bob <bob@example.com>@x", "at"),
        ("@example.com", "localPart"), (".a@example.com", "localPart"), ("a.@example.com", "localPart"), ("a..b@example.com", "localPart"),
        ("-oX@example.com", "localPart"), ("a b@example.com", "localPart"), ("\"a b\"@example.com", "localPart"),
        ("zoë@example.com", "localPart"), ("a,b@example.com", "localPart"), ("a(c)@example.com", "localPart"),
        ("Bob <bob@example.com", "localPart"), ("${run{x}}@example.com", "localPart"), ("|sh@example.com", "localPart"),
        ("/etc/x@example.com", "localPart"), ("host!user@example.com", "localPart"), ("a%b@example.com", "localPart"),
        ("`id`@example.com", "localPart"), ("$(id)@example.com", "localPart"), ("a\\@example.com", "localPart"),
        ("a@", "domain"), ("a@.org", "domain"), ("a@b..org", "domain"), ("a@b.org.", "domain"), ("a@-b.org", "domain"),
        ("a@b-.org", "domain"), ("a@b_c.org", "domain"), ("a@[127.0.0.1]", "domain"), ("a@127.0.0.1", "domain"),
        ("a@bücher.example", "domain"), ("a@b.org>", "domain"), ("a@b org", "domain"), ("a@\(label63)b.org", "domain"),
        (String(repeating: "a", count: 65) + "@b.org", "length"),
        (String(repeating: "a", count: 63) + "@\(label63).\(label63).\(label63)", "length"),
    ])
    func refused(_ text: String, _ rule: String) {
        do throws(MailRefusal) {
            let address = try MailAddress(text, field: .fromAddress)
            Issue.record("\(address) was taken")
        } catch {
            #expect(error.rule.rawValue == rule && error.field == .fromAddress)
        }
    }
}
