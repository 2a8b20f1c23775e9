import DriveModel
import Foundation
import Testing

// Headers, and the requests HEAD and override; PATCH and OPTIONS have files of their own.
extension TusRow {
    static let core: [TusRow] = [
        TusRow("C01", "Core Protocol", "All Clients and Servers MUST implement the core protocol.") { tus async throws in
            let pairs = [tusPair("filename", "core.txt"), tusPair("filetype", "text/plain")].joined(separator: ",")
            let upload = try await tus.begin(11, ["Upload-Metadata: \(pairs)"])
            try await tus.add("hello ", to: upload, at: 0)
            try await tus.add("world", to: upload, at: 6)
            let file = try await tus.expectFile(Array("hello world".utf8), of: upload)
            #expect(file.name == "core.txt")
            #expect(file.contentType == "text/plain")
        },
        TusRow("C02", "Upload-Offset", "The Upload-Offset value MUST be a non-negative integer.") { tus async throws in
            let upload = try await tus.begin(5)
            for value in ["", "-1", "+5", "1.0", "abc", "0x1", "99999999999999999999", "0, 0"] {
                let reply = try await tus.send(
                    "PATCH", upload.path, [TusClient.version, TusClient.octets, "Upload-Offset: \(value)"], body: Array("hello".utf8))
                try await tus.expectRefused(reply, 400, upload: upload, comment: value)
            }
            let without = try await tus.send("PATCH", upload.path, [TusClient.version, TusClient.octets], body: Array("hello".utf8))
            try await tus.expectRefused(without, 400, upload: upload, comment: "absent")
        },
        TusRow("C03", "Upload-Length", "The Upload-Length value MUST be a non-negative integer.") { tus async throws in
            for value in ["-1", "+1", "abc", "1.5", "", "0x1"] {
                try await tus.expectRefused(try await tus.create("Upload-Length: \(value)"), 400, comment: value)
            }
            try await tus.expectRefused(try await tus.create("Upload-Length: 18446744073709551616"), 400, 413, comment: "2^64")
            #expect(try await tus.create("Upload-Length: 0").status == 201)
        },
        TusRow("C04", "Tus-Version", "Tus-Version MUST be a comma-separated list of the supported versions.") { tus async throws in
            #expect(try await tus.options().header("Tus-Version") == "1.0.0")
        },
        TusRow("C05", "Tus-Version", "The list MUST be sorted by the Server's preference, the most preferred first.") { tus async throws in
            let reply = try await tus.options()
            #expect(reply.header("Tus-Version")?.components(separatedBy: ",").first == reply.header("Tus-Resumable"))
        },
        TusRow("C06", "Tus-Resumable", "Tus-Resumable MUST be included in every response, whatever its status.") { tus async throws in
            // That it is there is asked of every answer of this suite; here they are called up on purpose.
            let upload = try await tus.begin(5)
            var anonymous = tus
            anonymous.token = nil
            let path = upload.path
            let replies: [(Int, Reply)] = [
                (200, try await tus.head(upload)),
                (204, try await tus.patch(upload, 0, "he")),
                (400, try await tus.create()),
                (401, try await anonymous.head(upload)),
                (404, try await tus.send("HEAD", "\(tus.endpoint)/nope")),
                (404, try await tus.send("GET", "\(tus.endpoint)/no/such/thing")),
                (405, try await tus.send("PUT", path, [TusClient.version])),
                (409, try await tus.patch(upload, 0, "he")),
                (412, try await tus.send("PATCH", path, ["Tus-Resumable: 0.2.2"])),
                (413, try await tus.patch(upload, 2, "much too long")),
                (415, try await tus.send("PATCH", path, [TusClient.version, "Content-Type: text/plain", "Upload-Offset: 2"])),
                (460, try await tus.patch(upload, 2, "llo", ["Upload-Checksum: \(tusChecksum([]))"])),
                (204, try await tus.delete(upload)),
                (410, try await tus.head(upload)),
            ]
            for (status, reply) in replies {
                #expect(reply.status == status, "\(reply)")
                #expect(reply.header("Tus-Resumable") != nil, "\(reply)")
            }
        },
        TusRow("C07", "Tus-Resumable", "The value MUST be the version of the protocol used by the Server.") { tus async throws in
            #expect(try await tus.create("Upload-Length: 5").header("Tus-Resumable") == "1.0.0")
        },
        TusRow("C08", "Tus-Resumable", "If the Client's version is not supported, the Server MUST respond 412.") { tus async throws in
            let upload = try await tus.begin(5)
            for lines in [["Tus-Resumable: 0.2.2"], ["Tus-Resumable: 1.0"], ["Tus-Resumable: 2.0.0"], []] {
                let post = try await tus.send("POST", tus.endpoint, lines + ["Upload-Length: 5"])
                let patch = try await tus.send("PATCH", upload.path, lines + [TusClient.octets, "Upload-Offset: 0"], body: [1])
                let delete = try await tus.send("DELETE", upload.path, lines)
                let statuses = [post.status, patch.status, delete.status]
                #expect(statuses == [412, 412, 412], "\(lines)")
            }
            #expect(try await tus.send("HEAD", upload.path, ["Tus-Resumable: 0.2.2"]).status == 412)
            // Whoever only asks need not say a version: clients in the field do not.
            #expect(try await tus.send("HEAD", upload.path, []).status == 200)
        },
        TusRow("C09", "Tus-Resumable", "The Server MUST include Tus-Version in that response.") { tus async throws in
            let upload = try await tus.begin(5)
            for (method, path) in [("POST", tus.endpoint), ("PATCH", upload.path), ("DELETE", upload.path), ("HEAD", upload.path)] {
                let reply = try await tus.send(method, path, ["Tus-Resumable: 0.2.2", "Upload-Length: 5"])
                #expect(reply.status == 412 && reply.header("Tus-Version") == "1.0.0", "\(method): \(reply)")
            }
        },
        TusRow("C10", "Tus-Resumable", "In addition, the Server MUST NOT process the request.") { tus async throws in
            let tus = try await TusClient.shared("tus-C10")
            let upload = try await tus.begin(5)
            let before = try await tus.drive.get("/files/upload/tasks").header("X-Total")
            let old = "Tus-Resumable: 0.2.2"
            _ = try await tus.send("PATCH", upload.path, [old, TusClient.octets, "Upload-Offset: 0"], body: Array("hello".utf8))
            _ = try await tus.send("DELETE", upload.path, [old])
            _ = try await tus.send("POST", tus.endpoint, [old, "Upload-Length: 5"])
            try await tus.expectOffset(0, of: upload)
            #expect(try await tus.drive.get("/files/upload/tasks").header("X-Total") == before, "something was created")
        },
        TusRow("C11", "Tus-Extension", "Tus-Extension MUST be a comma-separated list of the supported extensions.") { tus async throws in
            let text = try #require(await tus.options().header("Tus-Extension"))
            // No blanks: TUSKit does not trim them.
            #expect(text.wholeMatch(of: /[a-z-]+(,[a-z-]+)*/) != nil, "\(text)")
        },
        TusRow("C12", "Tus-Extension", "If no extensions are supported, the header MUST be omitted.") { tus async throws in
            // Drive's extensions cannot be switched off, so it is never empty.
            #expect(try await tus.options().header("Tus-Extension")?.isEmpty == false)
        },
        TusRow("C13", "Tus-Max-Size", "It MUST be a non-negative integer: the maximum size of an entire upload.") { tus async throws in
            #expect(try await tus.options().header("Tus-Max-Size") == "\(1 << 40)")
        },
        TusRow("C14", "Tus-Max-Size", "The Server SHOULD set this header if there is a known hard limit.") { _ async throws in
            #expect(try await TusStage.limited().options().header("Tus-Max-Size") == "\(TusStage.limit)")
        },
        TusRow("C15", "X-HTTP-Method-Override", "The value MUST be interpreted as the request's method by the Server, if present.") {
            tus async throws in
            let upload = try await tus.begin(5)
            let patch = try await tus.send(
                "POST", upload.path, TusClient.patchFields(0) + ["X-HTTP-Method-Override: PATCH"], body: Array("he".utf8))
            #expect(patch.status == 204 && patch.offset == 2, "\(patch)")
            let head = try await tus.send("POST", upload.path, [TusClient.version, "X-HTTP-Method-Override: HEAD"])
            #expect([200, 204].contains(head.status) && head.offset == 2 && head.body.isEmpty, "\(head)")
            let delete = try await tus.send("POST", upload.path, [TusClient.version, "X-HTTP-Method-Override: DELETE"])
            #expect(delete.status == 204, "\(delete)")
            try await tus.expectRefused(try await tus.head(upload), 410)
        },
        TusRow("C16", "X-HTTP-Method-Override", "The actual method of the request MUST be ignored.") { tus async throws in
            let upload = try await tus.begin(5)
            let put = try await tus.send(
                "PUT", upload.path, TusClient.patchFields(0) + ["X-HTTP-Method-Override: PATCH"], body: Array("hello".utf8))
            #expect(put.status == 204 && put.offset == 5, "\(put)")
            let unknown = try await tus.send("POST", upload.path, [TusClient.version, "X-HTTP-Method-Override: BREW"])
            try await tus.expectRefused(unknown, 400, 405, 501, upload: upload, offset: 5)
        },
        TusRow("C17", "X-HTTP-Method-Override", "The Client SHOULD use it if its environment does not support PATCH or DELETE.") {
            tus async throws in
            let upload = try await tus.begin(0x10001)
            let body = bytes(0x10001, seed: 17)
            let reply = try await tus.send("POST", upload.path, TusClient.patchFields(0) + ["X-HTTP-Method-Override: PATCH"], body: body)
            #expect(reply.status == 204, "\(reply)")
            try await tus.expectFile(body, of: upload)
        },
        TusRow("C18", "HEAD", "The Server MUST always include Upload-Offset, even if it is 0 or the upload is completed.") {
            tus async throws in
            let upload = try await tus.begin(5)
            try await tus.expectOffset(0, of: upload)
            try await tus.add("hello", to: upload, at: 0)
            try await tus.expectOffset(5, of: upload)
        },
        TusRow("C19", "HEAD", "If the size is known, the Server MUST include Upload-Length.") { tus async throws in
            #expect(try await tus.head(tus.begin(5)).header("Upload-Length") == "5")
        },
        TusRow("C20", "HEAD", "If the resource is not found, the Server SHOULD return 404, 410 or 403 without Upload-Offset.") {
            tus async throws in
            for id in ["nope", "00000000-0000-4000-8000-000000000000", String(repeating: "a", count: 5000)] {
                let reply = try await tus.send("HEAD", "\(tus.endpoint)/\(id)")
                #expect(reply.status == 404 && reply.offset == nil, "\(id.prefix(40)): \(reply)")
            }
        },
        TusRow("C21", "HEAD", "The Server SHOULD acknowledge a successful HEAD with 200 or 204.") { tus async throws in
            let reply = try await tus.head(tus.begin(5))
            #expect(reply.status == 200, "\(reply)")
            #expect(["0", nil].contains(reply.header("Content-Length")), "a length that no GET has")
        },
        TusRow("C22", "HEAD", "The Server MUST prevent caching by Cache-Control: no-store.") { tus async throws in
            let upload = try await tus.begin(5)
            let missing = try await tus.send("HEAD", "\(tus.endpoint)/nope")
            for reply in [try await tus.head(upload), missing] {
                #expect(reply.header("Cache-Control")?.contains("no-store") == true, "\(reply.status) \(reply.headers)")
            }
        },
    ]
}
