import DriveModel
import Foundation
import Testing

extension TusRow {
    static let concatenation: [TusRow] = [
        TusRow("CO01", "Concatenation", "If the Server supports this extension, it MUST add concatenation to Tus-Extension.") {
            tus async throws in
            #expect(try await tus.extensions().contains("concatenation"))
        },
        TusRow("CO02", "Concatenation", "The Server SHOULD NOT process partial uploads until they are concatenated.") { tus async throws in
            let tus = try await TusClient.shared("tus-CO02")
            let part = try await tus.part("hello", ["Upload-Metadata: \(tusPair("filename", "part.txt"))"])
            try await tus.expectOffset(5, of: part)
            let files: [CloudFile] = try await tus.drive.get("/files/me").decode()
            #expect(files.isEmpty, "a part is no file")
        },
        TusRow("CO03", "Concatenation", "The length of the final upload MUST be the sum of the lengths of all partial uploads.") {
            tus async throws in
            let final = try await tus.join([tus.part("hello"), tus.part(""), tus.part(" world")])
            let reply = try await tus.waitUntilJoined(final)
            #expect(reply.header("Upload-Length") == "11" && reply.offset == 11, "\(reply.headers)")
            try await tus.expectFile("hello world", of: final)
        },
        TusRow("CO04", "Concatenation", "To create a new upload of several, the Client MUST add Upload-Concat to the creation.") {
            tus async throws in
            let final = try await tus.join([tus.part("a")])
            try await tus.waitUntilJoined(final)
            try await tus.expectFile("a", of: final)
        },
        TusRow("CO05", "Upload-Concat", "The value MUST be final, a semicolon and the space-separated partial URLs.") { tus async throws in
            let part = try await tus.part("hello")
            for value in ["final;", "final", "final; ", "Final;\(part.path)", "foo", "", "final \(part.path)", "partial;\(part.path)"] {
                let reply = try await tus.create("Upload-Concat: \(value)")
                try await tus.expectRefused(reply, 400, upload: part, offset: 5, comment: value)
            }
        },
        TusRow("CO06", "Concatenation", "The partial uploads MUST be concatenated in the order of the list.") { tus async throws in
            let parts = [try await tus.part("hello"), try await tus.part(" world")]
            let final = try await tus.join(parts.reversed())
            try await tus.waitUntilJoined(final)
            try await tus.expectFile(" worldhello", of: final)
        },
        TusRow("CO07", "Concatenation", "The Client SHOULD send the concatenation after all partials are completed.") { tus async throws in
            let content = (0..<20).map { bytes(10_000 + $0, seed: UInt64($0) + 7) }
            var parts: [TusUpload] = []
            for bytes in content {
                parts.append(try await tus.begin(bytes.count, ["Upload-Concat: partial", TusClient.octets], body: bytes))
            }
            let final = try await tus.join(parts)
            try await tus.waitUntilJoined(final)
            try await tus.expectFile(content.flatMap { $0 }, of: final)
        },
        TusRow("CO08", "Concatenation", "The Client MUST NOT include Upload-Length in the final upload creation.") { tus async throws in
            let part = try await tus.part("hello")
            let wrong = try await tus.create("Upload-Concat: final;\(part.path)", "Upload-Length: 6")
            try await tus.expectRefused(wrong, 400, upload: part, offset: 5)
        },
        TusRow("CO09", "Concatenation", "The Client MAY send the concatenation request while the partials are still in progress.") {
            tus async throws in
            let first = try await tus.begin(5, ["Upload-Concat: partial"])
            let second = try await tus.begin(6, ["Upload-Concat: partial"])
            try await tus.add("hel", to: first, at: 0)
            let final = try await tus.join([first, second], ["Upload-Metadata: \(tusPair("filename", "late.txt"))"])
            try await tus.add("lo", to: first, at: 3)
            #expect(try await tus.head(final).offset == nil)
            try await tus.add(" world", to: second, at: 0)
            try await tus.waitUntilJoined(final)
            try await tus.expectFile("hello world", of: final)
            #expect(try await tus.file(of: final).name == "late.txt")
        },
        TusRow("CO10", "Concatenation", "The Server MUST announce this by concatenation-unfinished in Tus-Extension.") { tus async throws in
            #expect(try await tus.extensions().contains("concatenation-unfinished"))
        },
        TusRow("CO11", "Concatenation", "Metadata of the partial uploads SHALL NOT be transferred to the final upload.") {
            tus async throws in
            let final = try await tus.join([tus.part("hello", ["Upload-Metadata: \(tusPair("filename", "part-of-it.txt"))"])])
            #expect(try await tus.waitUntilJoined(final).header("Upload-Metadata") == nil)
            #expect(try await tus.file(of: final).name != "part-of-it.txt")
        },
        TusRow("CO12", "Concatenation", "All metadata SHOULD be included in the concatenation request.") { tus async throws in
            let value = "\(tusPair("filename", "whole.txt")),\(tusPair("filetype", "text/plain")),x"
            let final = try await tus.join([tus.part("hello")], ["Upload-Metadata: \(value)"])
            #expect(try await tus.waitUntilJoined(final).header("Upload-Metadata") == value)
            let file = try await tus.file(of: final)
            #expect(file.name == "whole.txt")
            #expect(file.contentType == "text/plain")
        },
        TusRow("CO13", "Concatenation", "The Server MAY delete partial uploads after concatenation.") { tus async throws in
            let tus = try await TusClient.shared("tus-CO13")
            let parts = [try await tus.part("hello"), try await tus.part(" world")]
            let final = try await tus.join(parts)
            try await tus.waitUntilJoined(final)
            // Clients that retry ask for each part again before they repeat the final: it is still told to be whole.
            try await tus.expectOffset(5, of: parts[0])
            try await tus.expectOffset(6, of: parts[1])
            let quota = try await tus.drive.quota()
            #expect(quota.usedBytes == 11 && quota.reservedBytes == 0, "the parts are no second copy: \(quota)")
        },
    ]

    static let finals: [TusRow] = [
        TusRow("CO14", "Concatenation", "The same partial upload MAY be used several times in one request.") { tus async throws in
            let part = try await tus.part("hello")
            let final = try await tus.join([part, part])
            #expect(try await tus.waitUntilJoined(final).header("Upload-Length") == "10")
            try await tus.expectFile("hellohello", of: final)
        },
        TusRow("CO15", "Concatenation", "... or in several creation requests.") { tus async throws in
            let parts = [try await tus.part("hello"), try await tus.part(" world")]
            let named = ["Upload-Metadata: \(tusPair("filename", "twice.txt"))"]
            let first = try await tus.join(parts, named)
            // The answer was lost: the same again is the same upload, before and after it is put together.
            let again = try await tus.join(parts, named)
            #expect(again.location == first.location)
            try await tus.waitUntilJoined(first)
            let later = try await tus.join(parts, named)
            #expect(later.location == first.location)
            try await tus.expectFile("hello world", of: first)
            // Something else of the same parts may come too late: they were consumed.
            let other = try await tus.create("Upload-Concat: final;\(parts[1].path) \(parts[0].path)")
            #expect([201, 400, 404, 410].contains(other.status), "\(other)")
        },
        TusRow("CO16", "PATCH", "The Server MUST respond 403 Forbidden to PATCH requests against a final upload URL.") { tus async throws in
            let final = try await tus.join([tus.part("hello")])
            let open = try await tus.join([tus.begin(5, ["Upload-Concat: partial"])])
            for (offset, text) in [(5, ""), (0, "x"), (0, ""), (5, "x")] {
                #expect(try await tus.patch(final, offset, text).status == 403, "\(offset) \(text)")
                #expect(try await tus.patch(open, offset, text).status == 403, "unfinished, \(offset) \(text)")
            }
            try await tus.waitUntilJoined(final)
            #expect(try await tus.patch(final, 5, "").status == 403)
        },
        TusRow("CO17", "PATCH", "... and MUST NOT modify the final or its partial uploads.") { tus async throws in
            let part = try await tus.begin(5, ["Upload-Concat: partial"])
            try await tus.add("he", to: part, at: 0)
            let final = try await tus.join([part])
            _ = try await tus.patch(final, 2, "xyz")
            try await tus.expectOffset(2, of: part)
            try await tus.add("llo", to: part, at: 2)
            try await tus.waitUntilJoined(final)
            _ = try await tus.patch(final, 5, "x")
            try await tus.expectFile("hello", of: final)
        },
        TusRow("CO18", "HEAD", "The response for a final upload SHOULD NOT contain Upload-Offset unless it is concatenated.") {
            tus async throws in
            let part = try await tus.begin(5, ["Upload-Concat: partial"])
            let final = try await tus.join([part])
            let reply = try await tus.head(final)
            #expect(reply.status == 200 && reply.offset == nil, "\(reply.headers)")
            try await tus.add("he", to: part, at: 0)
            #expect(try await tus.head(final).offset == nil)
        },
        TusRow("CO19", "HEAD", "After concatenation Upload-Offset and Upload-Length MUST be set and their values MUST be equal.") {
            tus async throws in
            let reply = try await tus.waitUntilJoined(tus.join([tus.part("hello"), tus.part(" world")]))
            #expect(reply.offset == 11 && reply.header("Upload-Length") == "11", "\(reply.headers)")
        },
        TusRow("CO20", "HEAD", "The value of Upload-Offset before concatenation is not defined for a final upload.") { tus async throws in
            let reply = try await tus.create("Upload-Concat: final;\(tus.begin(5, ["Upload-Concat: partial"]).path)")
            #expect(reply.status == 201 && reply.header("Location") != nil, "\(reply)")
        },
        TusRow("CO21", "HEAD", "The response for a partial upload MUST contain Upload-Offset.") { tus async throws in
            let part = try await tus.begin(5, ["Upload-Concat: partial"])
            try await tus.expectOffset(0, of: part)
            try await tus.add("he", to: part, at: 0)
            try await tus.expectOffset(2, of: part)
        },
        TusRow("CO22", "HEAD", "Upload-Length MUST be included if the length of the final resource can be calculated.") {
            tus async throws in
            let known = try await tus.join([tus.part("hello"), tus.begin(6, ["Upload-Concat: partial"])])
            let reply = try await tus.head(known)
            #expect(reply.header("Upload-Length") == "11" && reply.offset == nil, "\(reply.headers)")
            let open = try await tus.begin(nil, ["Upload-Concat: partial"])
            let unknown = try await tus.join([tus.part("hello"), open])
            let vague = try await tus.head(unknown)
            #expect(vague.header("Upload-Length") == nil && vague.header("Upload-Defer-Length") == "1", "\(vague.headers)")
            try await tus.add(" world", to: open, at: 0, ["Upload-Length: 6"])
            try await tus.waitUntilJoined(unknown)
            try await tus.expectFile("hello world", of: unknown)
        },
        TusRow("CO23", "HEAD", "HEAD of a partial or final upload MUST include Upload-Concat and its value as received.") {
            tus async throws in
            for isAbsolute in [false, true] {
                let parts = [try await tus.part("hello"), try await tus.part("!")]
                #expect(try await tus.head(parts[0]).header("Upload-Concat") == "partial")
                let value = "final;" + parts.map { isAbsolute ? $0.location : $0.path }.joined(separator: " ")
                let reply = try await tus.create("Upload-Concat: \(value)")
                try #require(reply.status == 201, "\(value): \(reply)")
                let final = try TusUpload(location: #require(reply.header("Location")))
                #expect(try await tus.head(final).header("Upload-Concat") == value)
                #expect(try await tus.waitUntilJoined(final).header("Upload-Concat") == value)
            }
            #expect(try await tus.head(tus.begin(5)).header("Upload-Concat") == nil)
        },
        TusRow("CO24", "Upload-Concat", "Upload-Concat MUST be set in both partial and final upload creation requests.") {
            tus async throws in
            // An upload that was not created as a part is none.
            let ordinary = try await tus.begin(5)
            let reply = try await tus.create("Upload-Concat: final;\(ordinary.path)")
            try await tus.expectRefused(reply, 400, upload: ordinary)
            let final = try await tus.join([tus.part("hello")])
            try await tus.expectRefused(try await tus.create("Upload-Concat: final;\(final.path)"), 400, comment: "a final of a final")
        },
        TusRow("CO25", "Upload-Concat", "For a partial upload its value MUST be partial.") { tus async throws in
            for value in ["Partial", "PARTIAL", "partially", "partial x"] {
                let reply = try await tus.create("Upload-Length: 5", "Upload-Concat: \(value)")
                try await tus.expectRefused(reply, 400, comment: value)
            }
            // In later requests it says nothing new.
            let part = try await tus.part("", [])
            #expect(try await tus.send("HEAD", part.path, [TusClient.version, "Upload-Concat: partial"]).status == 200)
        },
        TusRow("CO26", "Upload-Concat", "The partial URLs MAY be absolute or relative and MUST NOT contain spaces.") { tus async throws in
            let part = try await tus.part("hello")
            // Behind a proxy the host is the proxy's; clients leave it out, too.
            for url in [part.location, "https://drive.example.org\(part.path)", part.path, part.id] {
                let reply = try await tus.create("Upload-Concat: final;\(url)")
                #expect(reply.status == 201, "\(url): \(reply)")
            }
            let foreign = ["/elsewhere/\(part.id)", "https://drive.example.org/", tus.endpoint, "\(tus.endpoint)/nope", "\(part.path)/x"]
            for url in foreign {
                try await tus.expectRefused(try await tus.create("Upload-Concat: final;\(url)"), 400, 404, comment: url)
            }
        },
    ]
}
