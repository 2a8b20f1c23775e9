import DriveModel
import Foundation
import Testing

extension TusRow {
    /// What `hello world` is by each algorithm; CRC-32 as four bytes, the highest first.
    private static let vectors = [
        "sha1": "Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "md5": "XrY7u+Ae7tCTyyK7j1rNww==", "crc32": "DUoRhQ==",
        "sha256": "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=",
    ]
    private static let text = "hello world"

    private static let sha1 = "Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="

    /// A chunked PATCH of `hello world` with these lines before and after the body.
    private static func trailed(_ tus: TusClient, _ upload: TusUpload, head: [String], trailers: [String]) async throws -> Reply {
        try await tus.send(
            "PATCH", upload.path, TusClient.patchFields(0) + ["Transfer-Encoding: chunked"] + head,
            body: HTTPWire.chunked(Array(text.utf8), by: 4, trailers: trailers))
    }

    static let checksum: [TusRow] = [
        TusRow("CK01", "Checksum", "The Client and the Server MAY implement it to verify data integrity of each PATCH.") {
            tus async throws in
            for (name, digest) in vectors {
                let upload = try await tus.begin(11)
                try await tus.add(text, to: upload, at: 0, ["Upload-Checksum: \(name) \(digest)"])
                try await tus.expectFile(text, of: upload)
            }
        },
        TusRow("CK02", "Checksum", "If supported, the Server MUST add checksum to Tus-Extension.") { tus async throws in
            #expect(try await tus.extensions().contains("checksum"))
        },
        TusRow("CK03", "Checksum", "The Client MAY include Upload-Checksum in a PATCH request.") { tus async throws in
            let content = bytes(250_000, seed: 3)
            let upload = try await tus.begin(content.count)
            for (index, start) in stride(from: 0, to: content.count, by: 50_000).enumerated() {
                let piece = Array(content[start..<start + 50_000])
                try await tus.add(piece, to: upload, at: start, index.isMultiple(of: 2) ? ["Upload-Checksum: \(tusChecksum(piece))"] : [])
            }
            try await tus.expectFile(content, of: upload)
        },
        TusRow("CK04", "Checksum", "Once the entire request is received, the Server MUST verify the uploaded chunk.") { tus async throws in
            let upload = try await tus.begin(22)
            for offset in [0, 11] { try await tus.add(text, to: upload, at: offset, [sha1]) }
            try await tus.expectFile(text + text, of: upload)
            let empty = try await tus.begin(5)
            try await tus.add("", to: empty, at: 0, ["Upload-Checksum: sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk="])
        },
        TusRow("CK05", "Checksum", "400 Bad Request if the checksum algorithm is not supported by the Server.") { tus async throws in
            let upload = try await tus.begin(11)
            let reply = try await tus.patch(upload, 0, text, ["Upload-Checksum: foo AAAA"])
            try await tus.expectRefused(reply, 400, upload: upload)
            // It can be told before the body is there.
            let wire = try HTTPWire(port: tus.port)
            let fields = TusClient.patchFields(0) + ["Upload-Checksum: foo AAAA", "Expect: 100-continue"]
            await wire.send(tus.head("PATCH", upload.path, fields, length: 11))
            #expect(try await wire.nextHead().status == 400)
        },
        TusRow("CK06", "Checksum", "460 Checksum Mismatch if the checksums mismatch.") { tus async throws in
            for name in vectors.keys {
                let upload = try await tus.begin(11)
                let fields = TusClient.patchFields(0) + ["Upload-Checksum: \(name) \(vectors[name] ?? "")"]
                let answer = try await tus.exchange("PATCH", upload.path, fields, body: Array("hello_world".utf8))
                #expect(answer.reply.status == 460 && answer.reason == "Checksum Mismatch", "\(name): \(answer)")
                try await tus.expectOffset(0, of: upload)
            }
        },
        TusRow("CK07", "Checksum", "204 No Content if the checksums match and the processing of the data succeeded.") { tus async throws in
            #expect(try await tus.patch(tus.begin(11), 0, text, [sha1]).status == 204)
        },
        TusRow("CK08", "Checksum", "In the first two cases the uploaded chunk MUST be discarded.") { tus async throws in
            let content = bytes(300_000, seed: 8)
            let upload = try await tus.begin(content.count)
            try await tus.add(Array(content[..<100_000]), to: upload, at: 0)
            // More than is right, so that whatever stays behind would be seen.
            let wrong = try await tus.patch(
                upload, 100_000, [UInt8](repeating: 1, count: 200_000), ["Upload-Checksum: \(tusChecksum([]))"])
            try await tus.expectRefused(wrong, 460, upload: upload, offset: 100_000)
            try await tus.add(Array(content[100_000..<150_000]), to: upload, at: 100_000)
            try await tus.add(Array(content[150_000...]), to: upload, at: 150_000)
            try await tus.expectFile(content, of: upload)
        },
        TusRow("CK09", "Checksum", "... and the upload and its offset MUST NOT be updated.") { tus async throws in
            let content = bytes(200_000, seed: 9)
            let upload = try await tus.begin(content.count)
            let promise = ["Upload-Checksum: \(tusChecksum(content))"]
            // Cut off, by the sender and by a newcomer: nothing of it was verified, so nothing of it counts.
            let cut = try await tus.beginPatch(upload, at: 0, length: content.count, sending: Array(content[..<100_000]), fields: promise)
            await cut.finishSending()
            _ = try await cut.readToEnd()
            try await tus.expectOffset(0, of: upload)
            let live = try await tus.beginPatch(upload, at: 0, length: content.count, sending: Array(content[..<100_000]), fields: promise)
            try await tus.expectOffset(0, of: upload)
            try await tus.add(content, to: upload, at: 0, promise)
            await live.close()
            try await tus.expectFile(content, of: upload)
        },
        TusRow("CK10", "Checksum", "The Server MUST support at least the sha1 algorithm.") { tus async throws in
            let list = try #require(await tus.options().header("Tus-Checksum-Algorithm")).components(separatedBy: ",")
            #expect(Set(list).isSuperset(of: ["sha1", "sha256", "md5", "crc32"]), "\(list)")
        },
        TusRow("CK11", "Checksum", "The names of the checksum algorithms MUST only consist of ASCII characters without uppercase.") {
            tus async throws in
            let list = try #require(await tus.options().header("Tus-Checksum-Algorithm"))
            #expect(list.wholeMatch(of: /[!-@\[-~]+/) != nil, "\(list)")
            let upload = try await tus.begin(11)
            let reply = try await tus.patch(upload, 0, text, ["Upload-Checksum: SHA1 \(vectors["sha1"] ?? "")"])
            try await tus.expectRefused(reply, 400, upload: upload)
        },
        TusRow("CK12", "Tus-Checksum-Algorithm", "Tus-Checksum-Algorithm MUST be included in the response to an OPTIONS request.") {
            tus async throws in
            #expect(try await tus.options().header("Tus-Checksum-Algorithm") != nil)
        },
        TusRow("CK13", "Checksum", "If the hash cannot be calculated at the beginning, Upload-Checksum MAY be a trailer.") {
            tus async throws in
            let announced = ["Trailer: Upload-Checksum"]
            let upload = try await tus.begin(11)
            let missing = try await trailed(tus, upload, head: announced, trailers: [])
            try await tus.expectRefused(missing, 400, upload: upload, comment: "announced, and not there")
            let wrong = try await trailed(tus, upload, head: announced, trailers: ["Upload-Checksum: \(tusChecksum([]))"])
            try await tus.expectRefused(wrong, 460, upload: upload)
            let foreign = try await trailed(tus, upload, head: announced, trailers: ["Upload-Checksum: foo AAAA"])
            try await tus.expectRefused(foreign, 400, upload: upload)
            let right = try await trailed(tus, upload, head: announced, trailers: [sha1])
            #expect(right.status == 204 && right.offset == 11, "\(right)")
            try await tus.expectFile(text, of: upload)
        },
        TusRow("CK14", "Checksum", "If the Server can handle checksums in trailers it MUST announce checksum-trailer.") {
            tus async throws in
            #expect(try await tus.extensions().contains("checksum-trailer"))
        },
        TusRow("CK15", "Tus-Checksum-Algorithm", "Tus-Checksum-Algorithm MUST be a comma-separated list of algorithms.") {
            tus async throws in
            let list = try #require(await tus.options().header("Tus-Checksum-Algorithm"))
            #expect(list.wholeMatch(of: /[a-z0-9-]+(,[a-z0-9-]+)*/) != nil, "\(list)")
        },
        TusRow("CK16", "Upload-Checksum", "It MUST consist of the algorithm and the Base64 checksum, separated by a space.") {
            tus async throws in
            let upload = try await tus.begin(11)
            let digest = vectors["sha1"] ?? ""
            for value in ["sha1", "sha1 %%%", "sha1 AAAA", "sha1  \(digest)", "", "sha1 \(digest) x", "sha1,\(digest)", digest] {
                let reply = try await tus.patch(upload, 0, text, ["Upload-Checksum: \(value)"])
                try await tus.expectRefused(reply, 400, upload: upload, comment: value)
            }
        },
    ]

    static let termination: [TusRow] = [
        TusRow("TE01", "Termination", "If this extension is supported, the Server MUST announce it by adding termination.") {
            tus async throws in
            #expect(try await tus.extensions().contains("termination"))
        },
        TusRow("TE02", "Termination", "When receiving a DELETE for an existing upload the Server SHOULD free associated resources.") {
            _ async throws in
            let tus = try await TusClient.shared("tus-TE02")
            let content = bytes(100_000, seed: 2)
            let unfinished = try await tus.begin(200_000)
            try await tus.add(content, to: unfinished, at: 0)
            let finished = try await tus.begin(content.count, [TusClient.octets], body: content)
            let file = try await tus.file(of: finished)
            let sending = try await tus.begin(200_000)
            let wire = try await tus.beginPatch(sending, at: 0, length: 200_000, sending: content)
            for upload in [unfinished, finished, sending] { #expect(try await tus.delete(upload).status == 204) }
            // Whoever still sends is told, or sees the end.
            let said = try await wire.readToEnd()
            #expect(RawConnection.reply(in: said).map { $0.status >= 400 } ?? true)
            #expect(try await tus.drive.get("/files/\(file.id)").status == 404, "the file goes with its upload")
            try await eventually(within: .seconds(10), "the space to be given back") {
                let quota = try await tus.drive.quota()
                return quota.usedBytes == 0 && quota.reservedBytes == 0
            }
        },
        TusRow("TE03", "Termination", "... and MUST respond with the 204 No Content status.") { tus async throws in
            for text in ["", "he", "hello"] {
                let upload = try await tus.begin(5)
                try await tus.add(text, to: upload, at: 0)
                let answer = try await tus.exchange("DELETE", upload.path)
                #expect(answer.reply.status == 204 && answer.reason == "No Content", "\(text): \(answer)")
            }
        },
        TusRow("TE04", "Termination", "For all future requests to this URL, the Server SHOULD respond 404 or 410.") { tus async throws in
            for text in ["he", "hello"] {
                let upload = try await tus.begin(5)
                try await tus.add(text, to: upload, at: 0)
                #expect(try await tus.delete(upload).status == 204)
                for _ in 0..<2 {
                    let replies = [
                        try await tus.head(upload), try await tus.patch(upload, text.utf8.count, "llo"), try await tus.delete(upload),
                    ]
                    #expect(replies.map(\.status) == [410, 410, 410], "\(replies)")
                }
            }
        },
    ]
}
