import DriveModel
import Foundation
import Testing

extension TusRow {
    static let patch: [TusRow] = [
        TusRow("C23", "PATCH", "The Server SHOULD accept PATCH against any upload URL and apply the bytes at Upload-Offset.") {
            tus async throws in
            let upload = try await tus.begin(5)
            try await tus.add("he", to: upload, at: 0)
            try await tus.add("llo", to: upload, at: 2)
            try await tus.expectFile("hello", of: upload)
        },
        TusRow("C24", "PATCH", "All PATCH requests MUST use Content-Type: application/offset+octet-stream.") { tus async throws in
            let upload = try await tus.begin(5)
            // The name of a media type has no case (RFC 9110 §8.3.1).
            let reply = try await tus.send(
                "PATCH", upload.path, [TusClient.version, "content-type: Application/Offset+Octet-Stream", "upload-offset: 0"],
                body: Array("hello".utf8))
            #expect(reply.status == 204, "\(reply)")
        },
        TusRow("C25", "PATCH", "... otherwise the Server SHOULD return 415 Unsupported Media Type.") { tus async throws in
            let upload = try await tus.begin(5)
            for lines in [["Content-Type: text/plain"], ["Content-Type: application/octet-stream"], []] {
                let reply = try await tus.send(
                    "PATCH", upload.path, [TusClient.version, "Upload-Offset: 0"] + lines, body: Array("hello".utf8))
                try await tus.expectRefused(reply, 415, upload: upload, comment: "\(lines)")
            }
        },
        TusRow("C26", "PATCH", "Upload-Offset MUST be equal to the current offset of the resource.") { tus async throws in
            let upload = try await tus.begin(6)
            for offset in 0..<3 { try await tus.add("ab", to: upload, at: offset * 2) }
            try await tus.expectFile("ababab", of: upload)
        },
        TusRow("C27", "PATCH", "In order to achieve parallel upload the Concatenation extension MAY be used.") { tus async throws in
            let content = (0..<3).map { bytes(100_000 + $0, seed: UInt64($0) + 27) }
            let parts = try await withThrowingTaskGroup(of: (Int, TusUpload).self) { group in
                for (index, bytes) in content.enumerated() {
                    group.addTask {
                        let part = try await tus.begin(bytes.count, ["Upload-Concat: partial"])
                        try await tus.add(bytes, to: part, at: 0, ["Upload-Concat: partial"])
                        return (index, part)
                    }
                }
                return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
            let final = try await tus.join(try (0..<3).map { try #require(parts[$0]) })
            try await tus.waitUntilJoined(final)
            try await tus.expectFile(content.flatMap { $0 }, of: final)
        },
        TusRow("C28", "PATCH", "If the offsets do not match, the Server MUST respond 409 Conflict without modifying the resource.") {
            tus async throws in
            let upload = try await tus.begin(5)
            try await tus.add("he", to: upload, at: 0)
            for offset in [0, 1, 3, 5, 6, Int.max] {
                let reply = try await tus.patch(upload, offset, "x")
                try await tus.expectRefused(reply, 409, upload: upload, offset: 2, comment: "\(offset)")
                // Clients that look at nothing else heal themselves by it.
                #expect(reply.offset == 2, "\(offset)")
            }
            try await tus.add("llo", to: upload, at: 2)
            try await tus.expectRefused(try await tus.patch(upload, 0, "x"), 409, upload: upload, offset: 5)
            try await tus.expectFile("hello", of: upload)
        },
        TusRow("C29", "PATCH", "The Client SHOULD send all the remaining bytes in a single PATCH request.") { tus async throws in
            let content = bytes(16 << 20, seed: 29)
            let upload = try await tus.begin(content.count)
            try await tus.add(content, to: upload, at: 0)
            try await tus.expectFile(content, of: upload)
        },
        TusRow("C30", "PATCH", "... but MAY also use multiple small requests successively.") { tus async throws in
            let content = bytes(32, seed: 30)
            let upload = try await tus.begin(content.count)
            let wire = try HTTPWire(port: tus.port)
            for (offset, byte) in content.enumerated() {
                await wire.send(tus.head("PATCH", upload.path, TusClient.patchFields(offset), length: 1) + [byte])
                let reply = try await wire.answer(to: "PATCH").reply
                try #require(reply.status == 204 && reply.offset == offset + 1, "byte \(offset) on one connection: \(reply)")
            }
            try await tus.expectFile(content, of: upload)
        },
        TusRow("C31", "PATCH", "The Server MUST acknowledge successful PATCH requests with 204 No Content.") { tus async throws in
            let upload = try await tus.begin(5)
            for (offset, text) in [(0, "he"), (2, ""), (2, "llo")] {
                let answer = try await tus.exchange("PATCH", upload.path, TusClient.patchFields(offset), body: Array(text.utf8))
                #expect(answer.reply.status == 204 && answer.reason == "No Content", "\(answer)")
            }
        },
        TusRow("C32", "PATCH", "It MUST include Upload-Offset containing the new offset.") { tus async throws in
            #expect(try await tus.patch(tus.begin(5), 0, "hel").offset == 3)
        },
        TusRow("C33", "PATCH", "The new offset MUST be the sum of the old one and the bytes received and stored in this PATCH.") {
            tus async throws in
            let upload = try await tus.begin(9)
            #expect(try await tus.patch(upload, 0, "ab").offset == 2)
            #expect(try await tus.patch(upload, 2, "").offset == 2, "an empty body moves nothing")
            let chunked = TusClient.patchFields(2) + ["Transfer-Encoding: chunked"]
            let reply = try await tus.send("PATCH", upload.path, chunked, body: HTTPWire.chunked(Array("cdefghi".utf8), by: 3))
            #expect(reply.status == 204 && reply.offset == 9, "the payload alone counts: \(reply)")
            #expect(try await tus.patch(upload, 9, "").offset == 9, "an empty body at the end of a finished upload")
            try await tus.expectFile("abcdefghi", of: upload)
        },
        TusRow("C34", "PATCH", "For a PATCH against a non-existent resource the Server SHOULD return 404.") { tus async throws in
            let reply = try await tus.send("PATCH", "\(tus.endpoint)/nope", TusClient.patchFields(0), body: Array("hello".utf8))
            #expect(reply.status == 404, "\(reply)")
        },
        TusRow("C35", "PATCH", "Both SHOULD attempt to detect and handle network errors predictably.") { tus async throws in
            let content = bytes(200_000, seed: 35)
            let upload = try await tus.begin(content.count)
            let wire = try await tus.beginPatch(upload, at: 0, length: content.count, sending: Array(content[..<100_000]))
            await wire.reset()
            let start = ContinuousClock.now
            let offset = try await tus.offset(of: upload)
            #expect(ContinuousClock.now - start < .seconds(5))
            #expect((0...100_000).contains(offset))
            try await tus.goOn(with: content, to: upload)
            try await tus.expectFile(content, of: upload)
        },
        TusRow("C36", "PATCH", "They MAY do so by checking for read/write socket errors and timeouts.") { _ async throws in
            let tus = try await TusStage.limited()
            let upload = try await tus.begin(1000)
            let wire = try await tus.beginPatch(upload, at: 0, length: 1000, sending: bytes(500))
            _ = try await wire.readToEnd()
            try await tus.expectOffset(500, of: upload)
        },
        TusRow("C37", "PATCH", "A timeout SHOULD be handled by closing the underlying connection.") { _ async throws in
            let tus = try await TusStage.limited()
            let upload = try await tus.begin(1000)
            let wire = try await tus.beginPatch(upload, at: 0, length: 1000, sending: bytes(500))
            // An answer may come first; the end must.
            let said = try await wire.readToEnd()
            if let reply = RawConnection.reply(in: said) {
                #expect(reply.status >= 400, "\(reply)")
                TusClient.inspect(reply, to: "PATCH", sourceLocation: #_sourceLocation)
            }
        },
        TusRow("C38", "PATCH", "The Server SHOULD always attempt to store as much of the received data as possible.") { tus async throws in
            let content = bytes(1_000_000, seed: 38)
            let upload = try await tus.begin(content.count)
            let wire = try await tus.beginPatch(upload, at: 0, length: content.count, sending: Array(content[..<600_000]))
            await wire.finishSending()
            _ = try await wire.readToEnd()
            try await tus.expectOffset(600_000, of: upload)
        },
    ]

    static let discovery: [TusRow] = [
        TusRow("C39", "OPTIONS", "An OPTIONS request MAY be used to gather information about the Server's configuration.") {
            tus async throws in
            var anonymous = tus
            // Browsers ask without credentials.
            anonymous.token = nil
            let upload = try await tus.begin(5)
            for path in [tus.endpoint, tus.endpoint + "/", upload.path, tus.endpoint + "/nope"] {
                let reply = try await anonymous.options(path)
                #expect([200, 204].contains(reply.status) && reply.header("Tus-Version") == "1.0.0", "\(path): \(reply)")
            }
        },
        TusRow("C40", "OPTIONS", "A successful response, 204 or 200, MUST contain Tus-Version.") { tus async throws in
            let reply = try await tus.options()
            #expect([200, 204].contains(reply.status), "\(reply)")
            #expect(reply.header("Tus-Version") != nil)
        },
        TusRow("C41", "OPTIONS", "It MAY include Tus-Extension and Tus-Max-Size.") { tus async throws in
            let reply = try await tus.options()
            #expect(reply.header("Tus-Extension") != nil)
            #expect(reply.header("Tus-Max-Size")?.wholeMatch(of: /[0-9]+/) != nil)
        },
        TusRow("C42", "OPTIONS", "The Client SHOULD NOT include Tus-Resumable in the request.") { tus async throws in
            #expect([200, 204].contains(try await tus.options().status))
        },
        TusRow("C43", "OPTIONS", "The Server MUST ignore Tus-Resumable in it.") { tus async throws in
            for value in ["9.9", "1.0.0", "", "rubbish"] {
                let reply = try await tus.options(nil, ["Tus-Resumable: \(value)"])
                #expect([200, 204].contains(reply.status), "\(value): \(reply)")
            }
        },
        TusRow("C44", "Protocol Extensions", "Feature detection SHOULD be done by OPTIONS and Tus-Extension.") { tus async throws in
            let announced = try await tus.extensions()
            #expect(
                Set(announced) == [
                    "creation", "creation-with-upload", "creation-defer-length", "expiration", "checksum", "checksum-trailer",
                    "termination", "concatenation", "concatenation-unfinished",
                ])
            #expect(Set(announced).count == announced.count)
        },
        TusRow("C45", "Abstract", "The protocol does not depend on a specific HTTP version: a body need not tell its length.") {
            tus async throws in
            let content = bytes(300_001, seed: 45)
            let upload = try await tus.begin(content.count)
            let fields = TusClient.patchFields(0) + ["Transfer-Encoding: chunked"]
            let reply = try await tus.send("PATCH", upload.path, fields, body: HTTPWire.chunked(content))
            #expect(reply.status == 204 && reply.offset == content.count, "\(reply)")
            try await tus.expectFile(content, of: upload)
        },
        TusRow("C46", "Core Protocol", "Authentication and authorization are left to the Server.") { tus async throws in
            let upload = try await tus.begin(5)
            var anonymous = tus
            anonymous.token = nil
            for (method, path) in [("POST", tus.endpoint), ("HEAD", upload.path), ("PATCH", upload.path), ("DELETE", upload.path)] {
                let reply = try await anonymous.send(method, path, TusClient.patchFields(0) + ["Upload-Length: 5"])
                #expect(reply.status == 401, "\(method): \(reply)")
            }
            try await tus.expectOffset(0, of: upload)
        },
    ]
}
