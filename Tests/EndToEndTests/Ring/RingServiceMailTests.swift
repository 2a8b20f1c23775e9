import DriveModel
import Foundation
import Testing

/// Mail that another program sends over Drive's RingService: by a program that stands for sendmail(8) and keeps what it was given.
@Suite(.timeLimit(.minutes(1))) struct RingServiceMailTests {
    /// A mail as Python's `email` reads it, and what sendmail(8) was called with.
    private struct Mail: Decodable {
        var to: String
        var from: String
        var subject: String
        var body: String
        var names: [String]
        var defects: [String]
        /// `Message-ID`.
        var id: String
        var arguments: [String]
    }

    private static let reader = """
        import email, email.policy, json, sys
        with open(sys.argv[1], "rb") as file:
            mail = email.message_from_binary_file(file, policy=email.policy.default)
        arguments = open(sys.argv[2], encoding="utf-8").read().split("\\n")[:-1]
        text = mail.get_body(("plain", "html"))
        defects = [str(each) for part in mail.walk() for each in part.defects]
        defects += [str(each) for value in mail.values() for each in value.defects]
        print(json.dumps({"to": mail["To"], "from": mail["From"], "subject": mail["Subject"], "body": text.get_content(),
            "id": mail["Message-ID"], "names": [name.lower() for name in mail.keys()], "defects": defects, "arguments": arguments}))
        """

    /// - Parameter codes: the exit codes of the first calls, after which it takes everything. It keeps what it refuses, too.
    private static func sendmail(in folder: String, codes: [Int] = []) throws -> String {
        let path = folder + "/sendmail"
        // Written beside, then named: a mail that is there is whole.
        let script = """
            #!/bin/sh
            file=$(mktemp '\(folder)/mail.XXXXXX') || exit 71
            printf '%s\\n' "$@" > "$file.arguments"
            cat > "$file.begun"
            mv "$file.begun" "$file.mail"
            for code in \(codes.map(String.init).joined(separator: " ")); do
                mkdir "\(folder)/$code" 2>/dev/null && exit "$code"
            done
            exit 0
            """
        try #require(
            FileManager.default.createFile(atPath: path, contents: Data(script.utf8), attributes: [.posixPermissions: 0o700]))
        return path
    }

    /// Waits until so many were handed over.
    private static func mails(_ count: Int, in folder: String) async throws -> [Mail] {
        try await eventually(within: .seconds(40), "\(count) mails") {
            TemporaryFolder.files(in: folder).filter { $0.hasSuffix(".mail") }.count >= count
        }
        return try await mails(in: folder)
    }

    private static func mails(in folder: String) async throws -> [Mail] {
        var mails: [Mail] = []
        for name in TemporaryFolder.files(in: folder).sorted() where name.hasSuffix(".mail") {
            let file = folder + "/" + name.dropLast(5)
            let result = try await DriveCommand.run(
                ["-c", reader, "\(file).mail", "\(file).arguments"], program: RingProgram.interpreter(), atMost: .seconds(20))
            try #require(result.exit == .exited(0), "\(result.errors)")
            mails.append(try JSONDecoder().decode(Mail.self, from: Data(result.output.utf8)))
        }
        return mails
    }

    private static func request(_ address: String, name: String = "", subject: String = "Hello", body: String = "text") -> JSONValue {
        [
            "email": [
                "to_name": .string(name), "to_address": .string(address), "subject": .string(subject), "body": .string(body),
            ]
        ]
    }

    @Test func aMailIsHandedToSendmail() async throws {
        let folder = try TemporaryFolder.make("sendmail")
        defer { TemporaryFolder.remove(folder) }
        let settings = ["RING_SENDMAIL": try Self.sendmail(in: folder), "RING_MAIL_FROM": "drive@example.org"]
        try await RingStage.with("ring-mail", environment: settings) { stage in
            // Lines that would end the mail, or begin another header, are text.
            let body = "Grüße,\n.\nFrom here on\n\(String(repeating: "lang ", count: 400))\nBcc: x@example.org"
            let subject = "Käse & 🧀: " + String(repeating: "sehr ", count: 30) + "gut"
            try await stage.caller.taken(
                "SendEmail", Self.request("anna@example.org", name: "Anna \"A\" Ångström", subject: subject, body: body))
            var mails = try await Self.mails(1, in: folder)
            let mail = try #require(mails.first)
            #expect(mails.count == 1 && mail.defects.isEmpty, "\(mail)")
            #expect(mail.to.contains("anna@example.org") && mail.to.contains("Ångström") && mail.from.contains("drive@example.org"))
            #expect(mail.subject == subject, "\(mail.subject)")
            let text = mail.body.replacing("\r\n", with: "\n")
            #expect(text == body || text == body + "\n", "\(text)")
            #expect(mail.names.count == Set(mail.names).count, "each header once: \(mail.names)")
            #expect(Set(["date", "message-id", "mime-version"]).isSubset(of: mail.names) && !mail.names.contains("bcc"), "\(mail.names)")
            // Whoever gets it stands behind `--`, or in the header that `-t` has it read.
            let isNamed = mail.arguments.contains("-t") != mail.arguments.contains("anna@example.org")
            #expect(isNamed, "\(mail.arguments)")
            if let end = mail.arguments.firstIndex(of: "anna@example.org") {
                #expect(end > 0 && mail.arguments[end - 1] == "--", "\(mail.arguments)")
            }

            for (address, subject, name) in [
                ("", "s", ""), ("no address", "s", ""), ("a@example.org\nBcc: b@example.org", "s", ""),
                ("a@example.org, b@example.org", "s", ""), ("a@example.org", "s\r\nBcc: b@example.org", ""),
                ("a@example.org", "s", "n\r\nBcc: b@example.org"), ("a@example.org", "s\u{0}", ""),
            ] {
                let request = Self.request(address, name: name, subject: subject)
                try await stage.caller.refused("INVALID_ARGUMENT", "SendEmail", request, address)
            }
            try await stage.caller.refused("INVALID_ARGUMENT", "SendEmail", [:])
            let unnamed = try await stage.caller.call("SendEmail", Self.request("a@example.org", name: "n\n"))
            #expect(unnamed.details.hasPrefix("email.to_name "), "\(unnamed)")
            // One behind them says that none of them is on its way.
            try await stage.caller.taken("SendEmail", Self.request("last@example.org"))
            mails = try await Self.mails(2, in: folder)
            #expect(mails.count == 2 && mails.contains { $0.to == "last@example.org" }, "\(mails)")
            let entries = try await stage.audited("mail.send")
            #expect(entries.map { $0["details"] } == [["domain": "example.org"], ["domain": "example.org"]], "\(entries)")
        }
    }

    /// `EX_TEMPFAIL` of sysexits.h: another time. It is the same mail, so that nobody reads it twice.
    @Test func aMailThatIsNotTakenIsTriedAgain() async throws {
        let folder = try TemporaryFolder.make("sendmail")
        defer { TemporaryFolder.remove(folder) }
        let settings = ["RING_SENDMAIL": try Self.sendmail(in: folder, codes: [75]), "RING_MAIL_FROM": "drive@example.org"]
        try await RingStage.with("ring-mail-again", environment: settings) { stage in
            try await stage.caller.taken("SendEmail", Self.request("anna@example.org"))
            let mails = try await Self.mails(2, in: folder)
            #expect(mails.count == 2 && Set(mails.map(\.id)).count == 1 && mails[0].id.hasPrefix("<"), "\(mails)")
        }
    }

    @Test func withoutSendmailItIsRefused() async throws {
        try await RingStage.with("ring-no-mail") { stage in
            try await stage.caller.refused("FAILED_PRECONDITION", "SendEmail", Self.request("anna@example.org"))
        }
    }
}
