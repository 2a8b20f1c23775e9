import DriveModel
import Foundation
import Testing

extension TusRow {
    static let creation: [TusRow] = [
        TusRow("CR01", "Creation", "The Client and the Server SHOULD implement the upload creation extension.") { tus async throws in
            #expect(try await tus.create("Upload-Length: 5").status == 201)
        },
        TusRow("CR02", "Creation", "If the Server supports it, it MUST add creation to Tus-Extension.") { tus async throws in
            #expect(try await tus.extensions().contains("creation"))
        },
        TusRow("CR05", "Upload-Metadata", "Upload-Metadata MUST consist of one or more comma-separated key-value pairs.") {
            tus async throws in
            let one = try await tus.begin(5, ["Upload-Metadata: a YQ=="])
            #expect(try await tus.head(one).header("Upload-Metadata") == "a YQ==")
            let none = try await tus.begin(5)
            #expect(try await tus.head(none).header("Upload-Metadata") == nil, "no metadata is no header, not an empty one")
            // tuspy sends an empty one always.
            let empty = try await tus.begin(5, ["upload-metadata:"])
            #expect(try await tus.head(empty).header("Upload-Metadata") == nil)
        },
        TusRow("CR06", "Upload-Metadata", "The key and value MUST be separated by a space.") { tus async throws in
            let upload = try await tus.begin(0, ["Upload-Metadata: \(tusPair("filename", "a b.txt")),\(tusPair("filetype", "text/csv"))"])
            let file = try await tus.file(of: upload)
            #expect(file.name == "a b.txt")
            #expect(file.contentType == "text/csv")
        },
        TusRow("CR07", "Upload-Metadata", "The key MUST NOT contain spaces and commas and MUST NOT be empty.") { tus async throws in
            // A leading blank is the header's, so the empty key stands second.
            for value in ["a YQ==, , b Yg==", "a YQ==,,b Yg==", "a YQ== b", "a b YQ=="] {
                let reply = try await tus.create("Upload-Length: 5", "Upload-Metadata: \(value)")
                try await tus.expectRefused(reply, 400, comment: value)
            }
        },
        TusRow("CR08", "Upload-Metadata", "The key SHOULD be ASCII encoded and the value MUST be Base64 encoded.") { tus async throws in
            // Padding that is left out does no harm: the value is one all the same.
            for value in ["a !!!", "a YQ===", "a Y Q==", "a Y", "a YQ==YQ=="] {
                try await tus.expectRefused(try await tus.create("Upload-Length: 5", "Upload-Metadata: \(value)"), 400, comment: value)
            }
            let reply = try await tus.create("Upload-Length: 5", "Upload-Metadata: schlüssel YQ==")
            #expect([201, 400].contains(reply.status), "\(reply)")
        },
        TusRow("CR09", "Upload-Metadata", "All keys MUST be unique.") { tus async throws in
            for value in ["a YQ==,a Yg==", "a YQ==,b Yg==,a YQ==", "a,a"] {
                try await tus.expectRefused(try await tus.create("Upload-Length: 5", "Upload-Metadata: \(value)"), 400, comment: value)
            }
        },
        TusRow("CR10", "Upload-Metadata", "The value MAY be empty; then the space behind the key MAY be left out.") { tus async throws in
            for value in ["a", "a ", "a ,b Yg==", "a,b Yg==", "b Yg==,a"] {
                let upload = try await tus.begin(5, ["Upload-Metadata: \(value)"])
                let echo = try await tus.head(upload).header("Upload-Metadata")
                #expect(echo == value.trimmingCharacters(in: .whitespaces), "\(value.debugDescription)")
            }
        },
        TusRow("CR11", "Upload-Metadata", "Servers SHOULD sanitize metadata values before using them as header values.") {
            tus async throws in
            let names = ["x\r\nSet-Cookie: a=b", "x\"; filename=\"y", "../../x", "x\0y"]
            for name in names {
                let reply = try await tus.create("Upload-Length: 0", "Upload-Metadata: \(tusPair("filename", name))")
                if reply.status == 400 { continue }
                try #require(reply.status == 201, "\(name.debugDescription): \(reply)")
                let file = try await tus.file(of: TusUpload(location: #require(reply.header("Location"))))
                let content = try await tus.drive.get("/files/\(file.id)")
                #expect(content.status == 200 && content.header("Set-Cookie") == nil, "\(name.debugDescription): \(content.headers)")
                #expect(content.headers.allSatisfy { !$0.value.contains("\0") && !$0.value.contains("\n") })
            }
        },
        TusRow("CR20", "POST", "The Client MAY supply Upload-Metadata.") { tus async throws in
            let without = try await tus.file(of: tus.begin(0))
            #expect(!without.name.isEmpty, "a file without a name of its own has one all the same")
        },
        TusRow("CR21", "POST", "The Server MAY decide based on the metadata, ignore it, or use it.") { tus async throws in
            // What Uppy sends: copies of name and type, words that stand for nothing, keys nobody knows.
            let pairs = [
                ("relativePath", "null"), ("name", "u.png"), ("type", "image/png"), ("filename", "u.png"), ("filetype", "image/png"),
                ("caption", "ö"),
            ]
            let upload = try await tus.begin(0, ["Upload-Metadata: " + pairs.map { tusPair($0.0, $0.1) }.joined(separator: ",")])
            let file = try await tus.file(of: upload)
            #expect(file.name == "u.png")
            #expect(file.contentType == "image/png")
            #expect(file.bundleId == nil)
        },
        TusRow("CR22", "POST", "HEAD responses MUST include Upload-Metadata and its value as specified.") { tus async throws in
            let value = "z \(Data([0, 255, 13, 10]).base64EncodedString()),a YQ==,k,\(tusPair("filename", "ü.txt")),M TQ=="
            let upload = try await tus.begin(5, ["Upload-Metadata: \(value)"])
            #expect(try await tus.head(upload).header("Upload-Metadata") == value, "byte for byte, in this order")
            try await tus.add("hello", to: upload, at: 0)
            #expect(try await tus.head(upload).header("Upload-Metadata") == value, "after completion too")
            // Several lines of one field are one list (RFC 9110 §5.3).
            let lines = try await tus.begin(5, ["Upload-Metadata: a YQ==", "Upload-Metadata: b Yg=="])
            let echo = try await tus.head(lines).header("Upload-Metadata")
            #expect(["a YQ==,b Yg==", "a YQ==, b Yg=="].contains(echo), "\(echo ?? "none")")
        },
        TusRow("CR24", "POST", "The Server MUST acknowledge a successful upload creation with 201 Created.") { tus async throws in
            let answer = try await tus.exchange("POST", tus.endpoint, [TusClient.version, "Upload-Length: 5"])
            #expect(answer.reply.status == 201 && answer.reason == "Created", "\(answer)")
            // Clients take a type without a body, and the address with its slash, for the same.
            let typed = try await tus.create("Upload-Length: 5", "Content-Type: application/octet-stream")
            #expect(typed.status == 201, "\(typed)")
            let slashed = try await tus.send("POST", tus.endpoint + "/", [TusClient.version, "Upload-Length: 5"])
            #expect(slashed.status == 201, "\(slashed)")
        },
        TusRow("CR25", "POST", "The Server MUST set Location to the URL of the created resource.") { tus async throws in
            let first = try await tus.begin(5)
            let second = try await tus.begin(5)
            #expect(first.location != second.location)
            try await tus.expectOffset(0, of: first)
            #expect(first.id.wholeMatch(of: /[A-Za-z0-9_-]{16,}/) != nil, "an id that needs no quoting anywhere: \(first.id)")
        },
        TusRow("CR26", "POST", "This URL MAY be absolute or relative.") { tus async throws in
            // Absolute: one client in the field cannot do with anything else.
            let upload = try await tus.begin(5)
            #expect(upload.location.hasPrefix("http://127.0.0.1:\(tus.port)\(tus.endpoint)/"), "\(upload.location)")
        },
        TusRow("CR27", "POST", "The Client MUST perform the actual upload using the core protocol.") { tus async throws in
            let content = bytes(70_000, seed: 27)
            let upload = try await tus.begin(content.count)
            try await tus.add(content, to: upload, at: 0)
            try await tus.expectFile(content, of: upload)
        },
    ]

    static let creationLengths: [TusRow] = [
        TusRow("CR03", "Upload-Defer-Length", "The value of Upload-Defer-Length MUST be 1.") { tus async throws in
            #expect(try await tus.create("Upload-Defer-Length: 1").status == 201)
        },
        TusRow("CR04", "Upload-Defer-Length", "If the length is not deferred, Upload-Defer-Length MUST be omitted.") { tus async throws in
            #expect(try await tus.head(tus.begin(5)).header("Upload-Defer-Length") == nil)
            let upload = try await tus.begin(nil)
            try await tus.add("he", to: upload, at: 0, ["Upload-Length: 5"])
            let reply = try await tus.head(upload)
            #expect(reply.header("Upload-Defer-Length") == nil && reply.header("Upload-Length") == "5", "\(reply.headers)")
        },
        TusRow("CR12", "POST", "The request MUST include one of Upload-Length and Upload-Defer-Length: 1.") { tus async throws in
            try await tus.expectRefused(try await tus.create(), 400, comment: "neither")
            try await tus.expectRefused(try await tus.create("Upload-Length: 5", "Upload-Defer-Length: 1"), 400, comment: "both")
        },
        TusRow("CR13", "POST", "If Upload-Defer-Length contains any other value than 1, the Server should return 400.") {
            tus async throws in
            for value in ["0", "2", "true", "", "01", "1.0"] {
                try await tus.expectRefused(try await tus.create("Upload-Defer-Length: \(value)"), 400, comment: value)
            }
        },
        TusRow("CR14", "POST", "The Client MUST set Upload-Length in the next PATCH request once the length is known.") {
            tus async throws in
            let upload = try await tus.begin(nil)
            try await tus.add("he", to: upload, at: 0)
            try await tus.add("llo", to: upload, at: 2, ["Upload-Length: 5"])
            try await tus.expectFile("hello", of: upload)
            // tuspy learns the end only when nothing comes any more.
            let late = try await tus.begin(nil)
            try await tus.add("hello", to: late, at: 0)
            try await tus.add("", to: late, at: 5, ["Upload-Length: 5"])
            try await tus.expectFile("hello", of: late)
            let empty = try await tus.begin(nil)
            try await tus.add("", to: empty, at: 0, ["Upload-Length: 0"])
            try await tus.expectFile("", of: empty)
        },
        TusRow("CR15", "POST", "Once set the length MUST NOT be changed.") { tus async throws in
            let upload = try await tus.begin(nil)
            try await tus.add("he", to: upload, at: 0)
            try await tus.expectRefused(
                try await tus.patch(upload, 2, "", ["Upload-Length: 1"]), 400, upload: upload, offset: 2, comment: "below the offset")
            try await tus.add("l", to: upload, at: 2, ["Upload-Length: 5"])
            for value in [4, 6] {
                try await tus.expectRefused(
                    try await tus.patch(upload, 3, "lo", ["Upload-Length: \(value)"]), 400, upload: upload, offset: 3, comment: "\(value)")
            }
            #expect(try await tus.head(upload).header("Upload-Length") == "5")
            // A client that repeats a lost request repeats the length too.
            try await tus.add("lo", to: upload, at: 3, ["Upload-Length: 5"])
            try await tus.expectFile("hello", of: upload)
            let fixed = try await tus.begin(5)
            try await tus.expectRefused(try await tus.patch(fixed, 0, "hello!", ["Upload-Length: 6"]), 400, 413, upload: fixed)
        },
        TusRow("CR16", "POST", "While the length is not known, the Server MUST set Upload-Defer-Length: 1 in all HEAD responses.") {
            tus async throws in
            let upload = try await tus.begin(nil)
            for offset in [0, 2] {
                let reply = try await tus.head(upload)
                #expect(reply.header("Upload-Defer-Length") == "1" && reply.header("Upload-Length") == nil, "\(reply.headers)")
                #expect(reply.offset == offset)
                try await tus.add("he", to: upload, at: offset)
            }
        },
        TusRow("CR17", "POST", "If the Server supports deferring length, it MUST add creation-defer-length to Tus-Extension.") {
            tus async throws in
            #expect(try await tus.extensions().contains("creation-defer-length"))
        },
        TusRow("CR18", "POST", "Upload-Length MAY be 0 if the Client wants to upload an empty file.") { tus async throws in
            let reply = try await tus.create("Upload-Length: 0")
            #expect(reply.status == 201 && reply.offset == 0, "\(reply)")
        },
        TusRow("CR19", "POST", "The Server considers such an upload complete at once, without any PATCH.") { tus async throws in
            let upload = try await tus.begin(0, ["Upload-Metadata: \(tusPair("filename", "empty.bin"))"])
            let file = try await tus.expectFile([], of: upload)
            #expect(file.name == "empty.bin")
        },
        TusRow("CR23", "POST", "If the length exceeds the maximum, the Server MUST respond 413 Request Entity Too Large.") {
            _ async throws in
            let tus = try await TusStage.limited()
            let limit = TusStage.limit
            try await tus.expectRefused(try await tus.create("Upload-Length: \(limit + 1)"), 413)
            let whole = try await tus.begin(limit)
            try await tus.expectOffset(0, of: whole)
            let open = try await tus.begin(nil)
            try await tus.expectRefused(try await tus.patch(open, 0, "", ["Upload-Length: \(limit + 1)"]), 413, upload: open)
            // Without any length, what is beyond the limit must not be taken either.
            try await tus.add([UInt8](repeating: 7, count: limit), to: open, at: 0)
            try await tus.expectRefused(try await tus.patch(open, limit, "x"), 413, upload: open, offset: limit)
            let half = String(repeating: "h", count: limit / 2 + 1)
            let parts = [try await tus.part(half), try await tus.part(half)]
            let final = try await tus.create("Upload-Concat: final;\(parts.map(\.path).joined(separator: " "))")
            try await tus.expectRefused(final, 413, comment: "the sum of the parts")
        },
    ]
}
