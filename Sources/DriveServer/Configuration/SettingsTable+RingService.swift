import DriveModel
import DriveRing

extension SettingsTable {
    /// Of the RingService: another program's, and our own.
    @SettingsBuilder static var ringService: [any SettingDescription] {
        Setting(
            \.ring.url, "ring.url", "RING_URL",
            .optional(
                .matching(
                    "an address such as `https://ring.example.org:50051`",
                    reason: "is not http:// or https:// with a host and a port, and nothing else"
                ) {
                    RingAddress($0) != nil
                }, shown: "none"),
            "The RingService (gRPC) of another program: events and notifications go there too.")
        Setting(
            \.ring.token, "ring.token", "RING_TOKEN",
            .optional(
                .secret(.matching("visible ASCII characters", reason: "has other characters, such as blanks", RingServiceToken.isToken))),
            secret: true, "Sent to that service with each call, as `authorization: Bearer …`.")
        Setting(
            \.ring.listen, "ring.listen", "RING_LISTEN",
            .optional(
                .matching("an address and a port such as `127.0.0.1:50051`", reason: "is not a literal address with a port from 1 to 65535")
                {
                    ListeningPlace($0) != nil
                }, shown: "nowhere"),
            "Where other programs find the RingService (gRPC) of this server; encrypted where the server itself is (`tls.…`).")
        Setting(
            \.ring.serviceToken, "ring.serviceToken", "RING_SERVICE_TOKEN",
            .optional(
                .secret(
                    .matching(
                        "16 or more visible ASCII characters", reason: "is shorter than 16 characters, or has others than visible ones"
                    ) {
                        $0.utf8.count >= 16 && RingServiceToken.isToken($0)
                    })),
            secret: true, "What other programs must send with each call, as `authorization: Bearer …`.")
        Setting(
            \.ring.sendmail, "ring.sendmail", "RING_SENDMAIL",
            .optional(
                .matching("an absolute path", reason: "is no absolute path") { $0.hasPrefix("/") && !$0.utf8.contains(0) }, shown: "no mail"
            ),
            "The program that takes the mails of other programs, as sendmail does: `/usr/sbin/sendmail`.")
        Setting(
            \.ring.mailFrom, "ring.mailFrom", "RING_MAIL_FROM",
            .optional(.matching("a mail address", reason: "is no mail address") { (try? MailAddress($0, field: .fromAddress)) != nil }),
            "The address that those mails come from.")
    }
}

/// What may be a token in a header.
enum RingServiceToken {
    static func isToken(_ text: String) -> Bool { !text.isEmpty && text.utf8.allSatisfy { (0x21...0x7E).contains($0) } }
}

/// A literal address and a port: `127.0.0.1:50051`, `[::1]:50051`.
struct ListeningPlace: Hashable, Sendable {
    var host: String
    var port: Int

    init?(_ text: String) {
        guard let address = RingAddress("http://" + text), text.last?.isNumber == true, text.contains(":"), !text.hasSuffix("]"),
            IPAddress(address.host) != nil
        else { return nil }
        (host, port) = (address.host, address.port)
    }
}
