import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// Ranges, validators and conditions (RFC 9110 §13 and §14) over a real socket.
@Suite struct DownloadTests {
    struct Ranged: Sendable, CustomTestStringConvertible {
        var range: String
        var status: Int
        /// The bytes expected of a 206.
        var bytes: Range<Int> = 0..<0
        var testDescription: String { "\(range) gives \(status)" }
    }

    private static let size = 1000

    static let ranges: [Ranged] = [
        Ranged(range: "bytes=0-0", status: 206, bytes: 0..<1),
        Ranged(range: "bytes=0-499", status: 206, bytes: 0..<500),
        Ranged(range: "bytes=500-", status: 206, bytes: 500..<1000),
        Ranged(range: "bytes=999-", status: 206, bytes: 999..<1000),
        Ranged(range: "bytes=999-5000", status: 206, bytes: 999..<1000),
        Ranged(range: "bytes=0-", status: 206, bytes: 0..<1000),
        Ranged(range: "bytes=-1", status: 206, bytes: 999..<1000),
        Ranged(range: "bytes=-500", status: 206, bytes: 500..<1000),
        Ranged(range: "bytes=-5000", status: 206, bytes: 0..<1000),
        Ranged(range: "bytes=10-99999999999999999999999", status: 206, bytes: 10..<1000),
        Ranged(range: "Bytes=1-2", status: 206, bytes: 1..<3),
        Ranged(range: "bytes=1000-", status: 416),
        Ranged(range: "bytes=5000-6000", status: 416),
        Ranged(range: "bytes=-0", status: 416),
        Ranged(range: "bytes=99999999999999999999999-", status: 416),
        // What cannot be read, and several ranges, which are not offered, are ignored.
        Ranged(range: "bytes=2-1", status: 200),
        Ranged(range: "bytes=a-b", status: 200),
        Ranged(range: "bytes=-", status: 200),
        Ranged(range: "bytes=", status: 200),
        Ranged(range: "items=0-1", status: 200),
        Ranged(range: "bytes=0-1,5-6", status: 200),
        Ranged(range: "0-1", status: 200),
    ]

    @Test(arguments: ranges) func rangesAreServed(_ ranged: Ranged) async throws {
        let client = try await SharedServer.client("ranges")
        let content = bytes(Self.size)
        let file = try await client.store(content)
        let reply = try await client.get("/files/\(file.id)", headers: [("Range", ranged.range)])
        #expect(reply.status == ranged.status, "\(reply.status)")
        switch ranged.status {
        case 206:
            #expect(reply.body == Array(content[ranged.bytes]))
            #expect(reply.header("Content-Range") == "bytes \(ranged.bytes.lowerBound)-\(ranged.bytes.upperBound - 1)/1000")
            #expect(reply.header("Content-Length") == "\(ranged.bytes.count)")
        case 416:
            expectRefusal(reply, 416, "RANGE_NOT_SATISFIABLE")
            #expect(reply.header("Content-Range") == "bytes */1000")
        default:
            #expect(reply.body == content)
            #expect(reply.header("Content-Range") == nil)
            #expect(reply.header("Accept-Ranges") == "bytes")
        }
        // A range is defined for GET alone (§14.2).
        let head = try await client.send(.HEAD, "/files/\(file.id)", headers: [("Range", ranged.range)])
        #expect(head.status == 200)
        #expect(head.header("Content-Length") == "1000")
        #expect(head.body.isEmpty)
    }

    struct Condition: Sendable, CustomTestStringConvertible {
        var method: HTTPMethod = .GET
        /// `E` stands for the file's entity tag.
        var headers: [(String, String)]
        var status: Int
        var testDescription: String { "\(method) \(headers) gives \(status)" }
    }

    static let conditions: [Condition] = [
        Condition(headers: [("If-None-Match", "E")], status: 304),
        Condition(method: .HEAD, headers: [("If-None-Match", "E")], status: 304),
        Condition(headers: [("If-None-Match", "W/E")], status: 304),
        Condition(headers: [("If-None-Match", "\"x\", E, \"y\"")], status: 304),
        Condition(headers: [("If-None-Match", "*")], status: 304),
        Condition(headers: [("If-None-Match", "\"x\"")], status: 200),
        Condition(headers: [("If-Match", "E")], status: 200),
        Condition(headers: [("If-Match", "*")], status: 200),
        Condition(headers: [("If-Match", "\"x\"")], status: 412),
        Condition(headers: [("If-Match", "W/E")], status: 412),
        Condition(method: .HEAD, headers: [("If-Match", "\"x\"")], status: 412),
        Condition(headers: [("If-Modified-Since", "Fri, 31 Dec 2100 23:59:59 GMT")], status: 304),
        Condition(headers: [("If-Modified-Since", "Sat, 01 Jan 2000 00:00:00 GMT")], status: 200),
        Condition(headers: [("If-Modified-Since", "yesterday")], status: 200),
        Condition(headers: [("If-Unmodified-Since", "Sat, 01 Jan 2000 00:00:00 GMT")], status: 412),
        Condition(headers: [("If-Unmodified-Since", "Fri, 31 Dec 2100 23:59:59 GMT")], status: 200),
        // If-None-Match goes before If-Modified-Since (§13.2.2).
        Condition(headers: [("If-None-Match", "\"x\""), ("If-Modified-Since", "Fri, 31 Dec 2100 23:59:59 GMT")], status: 200),
        Condition(headers: [("If-Range", "E"), ("Range", "bytes=0-9")], status: 206),
        Condition(headers: [("If-Range", "W/E"), ("Range", "bytes=0-9")], status: 200),
        Condition(headers: [("If-Range", "\"x\""), ("Range", "bytes=0-9")], status: 200),
        Condition(headers: [("If-Range", "Sat, 01 Jan 2000 00:00:00 GMT"), ("Range", "bytes=0-9")], status: 200),
        Condition(headers: [("If-Range", "\"x\""), ("Range", "bytes=5000-")], status: 200),
        Condition(headers: [("If-None-Match", "E"), ("Range", "bytes=0-9")], status: 304),
        Condition(headers: [("If-Match", "E"), ("Range", "bytes=5000-")], status: 416),
    ]

    @Test(arguments: conditions) func conditionsAreObeyed(_ condition: Condition) async throws {
        let client = try await SharedServer.client("conditions")
        let content = bytes(Self.size, seed: 3)
        let file = try await client.store(content)
        let plain = try await client.get("/files/\(file.id)")
        let etag = try #require(plain.header("ETag"))
        #expect(etag.hasPrefix("\"") && etag.hasSuffix("\"") && etag.count > 2, "a strong tag: \(etag)")
        let headers = condition.headers.map { ($0.0, $0.1.replacing("E", with: etag)) }
        let reply = try await client.send(condition.method, "/files/\(file.id)", headers: headers)
        #expect(reply.status == condition.status, "\(reply.status)")
        switch reply.status {
        case 304:
            #expect(reply.body.isEmpty)
            #expect(reply.header("ETag") == etag)
        case 412: if condition.method == .GET { expectRefusal(reply, 412, "PRECONDITION_FAILED") }
        case 200: #expect(reply.body == content)
        default: break
        }
    }

    @Test func anEmptyFileHasNoRanges() async throws {
        let client = try await SharedServer.client("empty-ranges")
        let file = try await client.store([])
        for (range, status) in [(nil, 200), ("bytes=0-", 416), ("bytes=0-0", 416), ("bytes=-1", 200)] as [(String?, Int)] {
            let reply = try await client.get("/files/\(file.id)", headers: range.map { [("Range", $0)] } ?? [])
            #expect(reply.status == status, "\(range ?? "no range")")
            if status == 200 {
                #expect(reply.body.isEmpty)
                #expect(reply.header("Content-Length") == "0")
            }
        }
    }

    struct Shown: Sendable, CustomTestStringConvertible {
        var type: String
        var sent: String
        var inline: Bool
        var testDescription: String { type }
    }

    @Test(
        arguments: [
            Shown(type: "image/png", sent: "image/png", inline: true),
            Shown(type: "text/plain; charset=utf-7", sent: "text/plain; charset=utf-8", inline: true),
            Shown(type: "video/mp4", sent: "video/mp4", inline: true),
            Shown(type: "application/zip", sent: "application/zip", inline: false),
            Shown(type: "text/html", sent: "application/octet-stream", inline: false),
            Shown(type: "TEXT/HTML;charset=utf-8", sent: "application/octet-stream", inline: false),
            Shown(type: "image/svg+xml", sent: "application/octet-stream", inline: false),
            Shown(type: "application/xhtml+xml", sent: "application/octet-stream", inline: false),
            Shown(type: "text/xml", sent: "application/octet-stream", inline: false),
            Shown(type: "application/javascript", sent: "application/octet-stream", inline: false),
            Shown(type: "multipart/related", sent: "application/octet-stream", inline: false),
            Shown(type: "x/y", sent: "application/octet-stream", inline: false),
        ]) func nothingABrowserWouldRunIsShown(_ shown: Shown) async throws
    {
        let client = try await SharedServer.client("shown")
        let file = try await client.upload(
            Array("<script>alert(1)</script>".utf8), name: "page", more: ["contentType": .string(shown.type)])
        // To ask for it does not help.
        for query in ["", "?disposition=inline"] {
            for method in [HTTPMethod.GET, .HEAD] {
                let reply = try await client.send(method, "/files/\(file.id)\(query)")
                #expect(reply.status == 200)
                #expect(reply.header("X-Content-Type-Options") == "nosniff")
                #expect(reply.header("Content-Type") == shown.sent)
                let disposition = try #require(reply.header("Content-Disposition"))
                if !shown.inline { #expect(disposition.hasPrefix("attachment"), "\(query): \(disposition)") }
                if shown.inline { #expect(disposition.hasPrefix("inline"), "\(query): \(disposition)") }
                #expect(reply.header("Content-Security-Policy")?.contains("default-src 'none'") == true)
            }
        }
        // A part of it is as harmless as the whole.
        let part = try await client.get("/files/\(file.id)", headers: [("Range", "bytes=0-1")])
        #expect(part.status == 206)
        #expect(part.header("Content-Type") == shown.sent)
        #expect(part.header("X-Content-Type-Options") == "nosniff")
    }

    @Test(
        arguments: [
            ("plain.txt", "filename=\"plain.txt\""),
            ("naïve café.txt", "filename=\"na_ve caf_.txt\"; filename*=UTF-8''na%C3%AFve%20caf%C3%A9.txt"),
            ("100%41.txt", "filename=\"100_41.txt\"; filename*=UTF-8''100%2541.txt"),
            ("say \"hi\".txt", "filename=\"say _hi_.txt\"; filename*=UTF-8''say%20%22hi%22.txt"),
            ("a;b=c'd*.txt", "filename=\"a;b=c'd*.txt\""),
        ]) func namesFollowRFC6266(_ name: String, _ expected: String) async throws
    {
        let client = try await SharedServer.client("disposition")
        let file = try await client.store([1], name: name)
        #expect(try await client.get("/files/\(file.id)").header("Content-Disposition") == "attachment; " + expected)
    }
}
