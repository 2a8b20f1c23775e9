import DriveModel
import Foundation
import Testing

extension TusRow {
    private static let hello = Array("hello".utf8)

    static let creationWithUpload: [TusRow] = [
        TusRow("CU01", "Creation With Upload", "The Client MAY include parts of the upload in the Creation request.") { tus async throws in
            let upload = try await tus.begin(5, [TusClient.octets], body: hello)
            try await tus.expectFile("hello", of: upload)
        },
        TusRow("CU02", "Creation With Upload", "If the Server supports it, it MUST list creation-with-upload in Tus-Extension.") {
            tus async throws in
            #expect(try await tus.extensions().contains("creation-with-upload"))
        },
        TusRow("CU03", "Creation With Upload", "The Server MUST NOT offer creation-with-upload without offering creation.") {
            tus async throws in
            #expect(try await tus.extensions().contains("creation"))
        },
        TusRow("CU04", "Creation With Upload", "The Client MAY include either the whole upload data or a chunk of it in the body.") {
            tus async throws in
            let upload = try await tus.begin(5, [TusClient.octets], body: Array("he".utf8))
            try await tus.expectOffset(2, of: upload)
            try await tus.add("llo", to: upload, at: 2)
            try await tus.expectFile("hello", of: upload)
        },
        TusRow("CU05", "Creation With Upload", "Similar rules as for PATCH requests and responses apply.") { tus async throws in
            let long = try await tus.create("Upload-Length: 4", TusClient.octets, body: hello)
            try await tus.expectRefused(long, 413, comment: "more than the length")
            let deferred = try await tus.begin(nil, [TusClient.octets], body: hello)
            try await tus.expectOffset(5, of: deferred)
            let part = try await tus.begin(5, ["Upload-Concat: partial", TusClient.octets], body: hello)
            try await tus.expectOffset(5, of: part)
            let final = try await tus.create("Upload-Concat: final;\(part.path)", TusClient.octets, body: hello)
            try await tus.expectRefused(final, 400, 403, comment: "a final has no bytes of its own")
            let checked = try await tus.begin(5, [TusClient.octets, "Upload-Checksum: \(tusChecksum(hello))"], body: hello)
            try await tus.expectFile("hello", of: checked)
            let wrong = try await tus.create("Upload-Length: 5", TusClient.octets, "Upload-Checksum: \(tusChecksum([]))", body: hello)
            try await tus.expectRefused(wrong, 460)
            let chunked = try await tus.begin(
                5, [TusClient.octets, "Transfer-Encoding: chunked"], body: HTTPWire.chunked(hello, by: 2))
            try await tus.expectFile("hello", of: chunked)
        },
        TusRow("CU06", "Creation With Upload", "The Client MUST include Content-Type: application/offset+octet-stream.") {
            tus async throws in
            for lines in [["Content-Type: application/octet-stream"], ["Content-Type: text/plain"], []] {
                let reply = try await tus.send("POST", tus.endpoint, [TusClient.version, "Upload-Length: 5"] + lines, body: hello)
                try await tus.expectRefused(reply, 415, comment: "\(lines)")
            }
            #expect(try await tus.create("Upload-Length: 5", "Content-Type: text/plain").status == 201, "no body, no matter")
        },
        TusRow("CU07", "Creation With Upload", "The Server SHOULD accept as many bytes as possible.") { tus async throws in
            let content = bytes(3 << 20, seed: 7)
            let reply = try await tus.create("Upload-Length: \(content.count)", TusClient.octets, body: content)
            #expect(reply.status == 201 && reply.offset == content.count, "\(reply)")
        },
        TusRow("CU08", "Creation With Upload", "It MUST include Upload-Offset, set to the offset after the accepted bytes.") {
            tus async throws in
            #expect(try await tus.create("Upload-Length: 5", TusClient.octets, body: Array("hel".utf8)).offset == 3)
            // tus-js-client asks for it where no bytes were sent, too.
            #expect(try await tus.create("Upload-Length: 5").offset == 0)
            #expect(try await tus.create("Upload-Defer-Length: 1").offset == 0)
        },
        TusRow("CU09", "Creation With Upload", "The Client SHOULD verify that the Server supports the extension before.") {
            tus async throws in
            #expect(try await tus.options().header("Tus-Extension")?.contains("creation-with-upload") == true)
        },
        TusRow("CU10", "Creation With Upload", "The Client SHOULD include Expect: 100-continue to get early feedback.") {
            tus async throws in
            func ask(_ method: String, _ path: String, _ fields: [String], then body: [UInt8]) async throws -> WireAnswer {
                let wire = try HTTPWire(port: tus.port)
                await wire.send(tus.head(method, path, fields + ["Expect: 100-continue"], length: body.count))
                let first = try await wire.nextHead()
                guard first.status == 100 else {
                    let reply = Reply(status: first.status, headers: first.headers, body: [])
                    return WireAnswer(interim: [], reason: first.reason, reply: reply)
                }
                await wire.send(body)
                let final = try await wire.answer(to: method)
                return WireAnswer(interim: [first] + final.interim, reason: final.reason, reply: final.reply)
            }
            let post = [TusClient.version, TusClient.octets]
            let good = try await ask("POST", tus.endpoint, post + ["Upload-Length: 5"], then: hello)
            #expect(good.interim.map(\.status) == [100] && good.reply.status == 201 && good.reply.offset == 5, "\(good)")
            let large = try await ask("POST", tus.endpoint, post + ["Upload-Length: \((1 << 40) + 1)"], then: hello)
            #expect(large.interim.isEmpty && large.reply.status == 413, "\(large)")
            let upload = try await tus.begin(5)
            let wrong = try await ask("PATCH", upload.path, TusClient.patchFields(3), then: hello)
            #expect(wrong.interim.isEmpty && wrong.reply.status == 409, "\(wrong)")
            let right = try await ask("PATCH", upload.path, TusClient.patchFields(0), then: hello)
            #expect(right.interim.map(\.status) == [100] && right.reply.status == 204, "\(right)")
        },
    ]
}
