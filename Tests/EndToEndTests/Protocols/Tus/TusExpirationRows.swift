import DriveModel
import Foundation
import Testing

extension TusRow {
    /// IMF-fixdate (RFC 9110 §5.6.7); nil where it is not, or names a wrong day of the week.
    private static func date(_ text: String?) -> Date? {
        guard let text else { return nil }
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "GMT")
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        guard let date = format.date(from: text), format.string(from: date) == text else { return nil }
        return date
    }

    static let expiration: [TusRow] = [
        TusRow("EX01", "Expiration", "The Server MAY remove unfinished uploads once they expire.") { _ async throws in
            let stage = try await TusStage.expired()
            let reply = try await stage.client.head(stage.unfinished)
            #expect(reply.status == 410 && reply.offset == nil, "\(reply)")
            // A finished one is outside of it.
            try await stage.client.expectFile("hello", of: stage.finished)
        },
        TusRow("EX02", "Expiration", "To indicate this behavior, the Server MUST add expiration to Tus-Extension.") { tus async throws in
            #expect(try await tus.extensions().contains("expiration"))
        },
        TusRow("EX03", "Expiration", "The Server MAY wish to remove incomplete uploads after a given period of time.") { tus async throws in
            let reply = try await tus.create("Upload-Length: 5")
            #expect(try #require(date(reply.header("Upload-Expires"))) > Date())
        },
        TusRow("EX04", "Upload-Expires", "The Client SHOULD look at it to see if an upload is still valid.") { tus async throws in
            // It resumes by HEAD: there it stands too.
            #expect(date(try await tus.head(tus.begin(5)).header("Upload-Expires")) != nil)
        },
        TusRow("EX05", "Upload-Expires", "It MUST be included in every PATCH response if the upload is going to expire.") {
            tus async throws in
            let upload = try await tus.begin(5)
            let good = try await tus.patch(upload, 0, "he")
            let wrong = try await tus.patch(upload, 0, "he")
            let statuses = [good.status, wrong.status]
            #expect(statuses == [204, 409])
            for reply in [good, wrong] { #expect(date(reply.header("Upload-Expires")) != nil, "\(reply.status)") }
        },
        TusRow("EX06", "Upload-Expires", "If it is known at the creation, it MUST be in the response to the POST.") { tus async throws in
            for fields in [["Upload-Length: 5"], ["Upload-Defer-Length: 1"], ["Upload-Length: 5", "Upload-Concat: partial"]] {
                let reply = try await tus.send("POST", tus.endpoint, [TusClient.version] + fields)
                #expect(date(reply.header("Upload-Expires")) != nil, "\(fields): \(reply.headers)")
            }
        },
        TusRow("EX07", "Upload-Expires", "Its value MAY change over time.") { tus async throws in
            let created = try await tus.create("Upload-Length: 5")
            let upload = try TusUpload(location: #require(created.header("Location")))
            let patched = try await tus.patch(upload, 0, "he")
            let promised = try #require(date(created.header("Upload-Expires")))
            #expect(try #require(date(patched.header("Upload-Expires"))) >= promised, "never earlier than was promised")
        },
        TusRow("EX08", "Expiration", "If a Client attempts to resume a removed upload, the Server SHOULD respond 404 or 410.") {
            _ async throws in
            let stage = try await TusStage.expired()
            let patch = try await stage.client.patch(stage.unfinished, 2, "llo")
            let delete = try await stage.client.delete(stage.unfinished)
            #expect([404, 410].contains(patch.status), "\(patch)")
            #expect([404, 410].contains(delete.status), "\(delete)")
        },
        TusRow("EX09", "Expiration", "410 SHOULD be used if the Server is keeping track of expired uploads.") { _ async throws in
            let stage = try await TusStage.expired()
            #expect(try await stage.client.patch(stage.unfinished, 2, "llo").status == 410)
        },
        TusRow("EX10", "Expiration", "In both cases the Client SHOULD start a new upload.") { _ async throws in
            let tus = try await TusStage.expired().client
            try await tus.expectFile("hello", of: tus.begin(5, [TusClient.octets], body: Array("hello".utf8)))
        },
        TusRow("EX11", "Upload-Expires", "The value MUST be in RFC 9110 datetime format.") { tus async throws in
            let text = try #require(await tus.create("Upload-Length: 5").header("Upload-Expires"))
            #expect(date(text) != nil, "\(text)")
        },
    ]
}
