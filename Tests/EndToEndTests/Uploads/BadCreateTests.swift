import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// What a bad create request gets: the exact refusal, and nothing reserved.
@Suite struct BadCreateTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var what: String
        var body: String
        var status = 400
        var codes: [String] = ["INVALID_REQUEST"]
        var testDescription: String { what }

        init(_ what: String, _ body: String, _ status: Int = 400, _ codes: String...) {
            self.what = what
            self.body = body
            self.status = status
            if !codes.isEmpty { self.codes = codes }
        }

        /// A request that is right but for one field.
        static func field(_ name: String, _ json: String, _ status: Int = 400, _ code: String = "INVALID_REQUEST") -> Case {
            var fields = ["fileName": "\"a.txt\"", "fileSize": "100"]
            fields[name] = json
            let body = "{" + fields.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}"
            return Case("\(name) \(json.prefix(40))", body, status, code)
        }
    }

    static let cases: [Case] = [
        .field("fileSize", "-1", 400, "INVALID_FILE_SIZE"),
        .field("fileSize", "-9223372036854775808", 400, "INVALID_FILE_SIZE"),
        .field("fileSize", "9223372036854775807", 413, "FILE_TOO_LARGE"),
        .field("fileSize", "1099511627777", 413, "FILE_TOO_LARGE"),
        .field("fileSize", "9223372036854775808"),
        .field("fileSize", "1e30"),
        .field("fileSize", "1.5"),
        .field("fileSize", "\"100\""),
        .field("fileSize", "null"),
        .field("chunkSize", "0", 400, "INVALID_CHUNK_SIZE"),
        .field("chunkSize", "-65536", 400, "INVALID_CHUNK_SIZE"),
        .field("chunkSize", "18446744073709551616"),
        .field("chunkSize", "\"big\""),
        .field("hash", "\"abc\"", 400, "INVALID_HASH"),
        .field("hash", "\"\(String(repeating: "g", count: 64))\"", 400, "INVALID_HASH"),
        .field("hash", "\"\(String(repeating: "a", count: 65))\"", 400, "INVALID_HASH"),
        .field("hash", "42"),
        .field("poolId", "\"not-a-uuid\""),
        .field("poolId", "\"00000000-0000-4000-8000-000000000000\"", 404, "NOT_FOUND"),
        .field("bundleId", "\"00000000-0000-4000-8000-000000000000\"", 404, "NOT_FOUND"),
        .field("bundleId", "7"),
        .field("expiredAt", "\"2001-01-01T00:00:00Z\""),
        .field("expiredAt", "\"tomorrow\""),
        .field("expiredAt", "\"2099-02-30T00:00:00Z\""),
        .field("contentType", "\"text\""),
        .field("contentType", "\"text/plain\\r\\nX-Evil: 1\""),
        .field("contentType", "\"\(String(repeating: "a", count: 300))/b\""),
        .field("encryptPassword", "\"secret\"", 501, "NOT_IMPLEMENTED"),
        .field("fileName", "7"),
        .field("fileName", "null"),
        Case("no name", #"{"fileSize":1}"#),
        Case("no size", #"{"fileName":"a"}"#),
        Case("nothing", ""),
        Case("no JSON", "fileName=a&fileSize=1"),
        Case("half JSON", #"{"fileName":"a","fileSize":"#),
        Case("a list", #"[{"fileName":"a","fileSize":1}]"#),
        Case("a text", #""fileName""#),
        Case("broken UTF-8", "{\"fileName\":\"\u{1}\",\"fileSize\":1}", 400, "INVALID_REQUEST", "INVALID_FILE_NAME"),
        Case("deep JSON", String(repeating: "[", count: 20_000), 400, "INVALID_REQUEST"),
        Case(
            "2 MiB of JSON", #"{"fileName":"a","fileSize":1,"x":""# + String(repeating: "x", count: 2 << 20) + "\"}", 413,
            "PAYLOAD_TOO_LARGE"),
    ]

    @Test(arguments: cases) func isRefused(_ bad: Case) async throws {
        let client = try await SharedServer.client("bad-create")
        let reply = try await client.send(
            .POST, "/files/upload/create", headers: [("Content-Type", "application/json")], body: Array(bad.body.utf8))
        expectRefusal(reply, bad.status)
        #expect(bad.codes.contains(reply.error?.code ?? ""), "\(reply)")
        let id = try #require(reply.header("X-Request-Id"))
        #expect(reply.error?.requestId == id)
        // None of these leaves a reservation, so at any moment there is none.
        #expect(try await client.quota() == QuotaReply(quotaBytes: 100 << 30, usedBytes: 0, reservedBytes: 0))
        #expect(try await client.get("/files/upload/tasks").header("X-Total") == "0")
    }

    /// The password itself must not come back in the error or stand in the log.
    @Test func aPasswordIsNeverRepeated() async throws {
        let client = try await SharedServer.client("bad-create")
        let reply = try await client.create(size: 1, more: ["encryptPassword": "hunter2-correct-horse"])
        expectRefusal(reply, 501, "NOT_IMPLEMENTED")
        #expect(!reply.text.contains("hunter2"))
        #expect(try await !SharedServer.get().log.contains("hunter2"))
    }

    struct Name: Sendable, CustomTestStringConvertible {
        var what: String
        var name: String
        /// What is stored; nil: refused.
        var stored: String?
        /// The rule that refuses.
        var rule = ""
        var testDescription: String { what }
    }

    static let names: [Name] = [
        Name(what: "../", name: "../etc/passwd", rule: "FILE_NAME_SEPARATOR"),
        Name(what: "an absolute path", name: "/etc/passwd", rule: "FILE_NAME_SEPARATOR"),
        Name(what: "backslash", name: "..\\boot.ini", rule: "FILE_NAME_SEPARATOR"),
        Name(what: "..", name: "..", rule: "FILE_NAME_DOTS"),
        Name(what: ".", name: ".", rule: "FILE_NAME_DOTS"),
        Name(what: "empty", name: "", rule: "FILE_NAME_EMPTY"),
        Name(what: "blank", name: "  \u{3000}", rule: "FILE_NAME_EMPTY"),
        Name(what: "NUL", name: "a\0b", rule: "FILE_NAME_NUL"),
        Name(what: "CR LF", name: "a\r\nX-Evil: 1", rule: "FILE_NAME_LINE_BREAK"),
        Name(what: "LF", name: "a\nb", rule: "FILE_NAME_LINE_BREAK"),
        Name(what: "line separator", name: "a\u{2028}b", rule: "FILE_NAME_LINE_BREAK"),
        Name(what: "escape", name: "a\u{1B}[31m", rule: "FILE_NAME_CONTROL"),
        Name(what: "RTL override", name: "invoice\u{202E}gpj.exe", rule: "FILE_NAME_DIRECTION"),
        Name(what: "isolate", name: "a\u{2066}b", rule: "FILE_NAME_DIRECTION"),
        Name(what: "300 bytes", name: String(repeating: "x", count: 300), rule: "FILE_NAME_TOO_LONG"),
        Name(what: "256 bytes in two-byte letters", name: String(repeating: "é", count: 128), rule: "FILE_NAME_TOO_LONG"),
        Name(what: "255 bytes", name: String(repeating: "x", count: 255), stored: String(repeating: "x", count: 255)),
        Name(what: "%2e%2e is text", name: "%2e%2e%2f", stored: "%2e%2e%2f"),
        Name(what: "NFD becomes NFC", name: "u\u{308}ber.txt", stored: "\u{FC}ber.txt"),
        Name(what: "NFC stays", name: "\u{FC}ber.txt", stored: "\u{FC}ber.txt"),
        Name(what: "Arabic", name: "ملف.txt", stored: "ملف.txt"),
        Name(what: "emoji", name: "👩‍🚀 \"quoted\" %41;.png", stored: "👩‍🚀 \"quoted\" %41;.png"),
        Name(what: "hidden", name: ".htaccess", stored: ".htaccess"),
        Name(what: "a device of old", name: "CON", stored: "CON"),
    ]

    /// By every door a name comes in: create, one request with query, one request as a form, rename, bundle-less update.
    @Test(arguments: names) func namesAreLabelsAndNothingElse(_ name: Name) async throws {
        let client = try await SharedServer.client("names")
        let base = try await client.store(bytes(3), name: "before.txt")
        var replies: [(String, Reply)] = try await [
            ("create", client.create(name.name, size: 0)),
            ("direct", client.direct(bytes(3), name: name.name)),
            ("rename", client.send(.PATCH, "/files/\(base.id)", json: ["name": .string(name.name)])),
        ]
        // Inside a quoted string these cannot stand as they are.
        if !name.name.contains(where: { "\"\\\r\n\0\r\n".contains($0) }), !name.name.isEmpty {
            let body = Multipart(parts: [.file("file", bytes(3), fileName: name.name)])
            replies.append(
                (
                    "form",
                    try await client.send(.POST, "/files/upload/direct", headers: [("Content-Type", body.contentType)], body: body.bytes)
                ))
        }
        for (door, reply) in replies {
            guard let stored = name.stored else {
                // A form's file name may be cut down to its last part by the parser of the form, or refused; never more.
                if door == "form", reply.status == 200 {
                    let file: CloudFile = try reply.decode()
                    #expect(!file.name.contains("/") && file.name != ".." && file.name != ".", "\(file.name)")
                    continue
                }
                expectRefusal(reply, 400, "INVALID_FILE_NAME", "INVALID_MULTIPART", "INVALID_REQUEST", comment: door)
                if door == "create" { #expect(reply.error?.details["rule"]?.string == name.rule) }
                continue
            }
            #expect(reply.status == 200, "\(door): \(reply)")
            if door == "create" {
                let file = try await client.finish(try #require(try reply.decode(CreateUploadReply.self).taskId))
                #expect(Array(file.name.unicodeScalars) == Array(stored.unicodeScalars))
            } else {
                let file: CloudFile = try reply.decode()
                #expect(Array(file.name.unicodeScalars) == Array(stored.unicodeScalars), "\(door)")
                let download = try await client.get("/files/\(file.id)")
                let disposition = try #require(download.header("Content-Disposition"))
                #expect(disposition.utf8.allSatisfy { (0x20...0x7E).contains($0) }, "\(disposition)")
                #expect(!disposition.contains("/"), "\(disposition)")
            }
        }
    }
}
