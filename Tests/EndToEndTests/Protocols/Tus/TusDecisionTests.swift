import DriveModel
import Foundation
import Testing

/// What the protocol's text leaves open, and Drive has decided.
@Suite struct TusDecisionTests {
    /// A request with several faults, and the fault that is told.
    struct Fault: Sendable, CustomTestStringConvertible {
        enum Target: Sendable { case open, final, unknown, deleted }

        var what: String
        var status: Int
        var target: Target
        var fields: [String]
        var testDescription: String { "\(what): \(status)" }
    }

    private static let bad = ["Content-Type: text/plain", "Upload-Offset: x"]

    static let faults: [Fault] = [
        Fault(what: "the version before all else", status: 412, target: .unknown, fields: ["Tus-Resumable: 0.1"] + bad),
        Fault(what: "unknown before its fields", status: 404, target: .unknown, fields: [TusClient.version] + bad),
        Fault(what: "gone before its fields", status: 410, target: .deleted, fields: [TusClient.version] + bad),
        Fault(what: "final before its fields", status: 403, target: .final, fields: [TusClient.version] + bad),
        Fault(what: "the type before the offset", status: 415, target: .open, fields: [TusClient.version] + bad),
        Fault(what: "the offset's form", status: 400, target: .open, fields: [TusClient.version, TusClient.octets, "Upload-Offset: x"]),
        Fault(what: "the offset before the size", status: 409, target: .open, fields: TusClient.patchFields(1)),
        Fault(
            what: "the size before the checksum", status: 413, target: .open,
            fields: TusClient.patchFields(0) + ["Upload-Checksum: \(tusChecksum([]))"]),
    ]

    @Test(arguments: faults) func theFirstFaultIsTold(_ fault: Fault) async throws {
        let tus = try await TusClient.shared("tus-faults")
        let upload: TusUpload
        switch fault.target {
        case .open: upload = try await tus.begin(5)
        case .final: upload = try await tus.join([tus.part("hello")])
        case .unknown: upload = try TusUpload(location: "http://127.0.0.1:\(tus.port)\(tus.endpoint)/nope")
        case .deleted:
            upload = try await tus.begin(5)
            #expect(try await tus.delete(upload).status == 204)
        }
        let reply = try await tus.send("PATCH", upload.path, fault.fields, body: Array("much too long".utf8))
        #expect(reply.status == fault.status, "\(reply)")
        #expect(reply.error?.status == fault.status, "an error is told as everywhere in Drive: \(reply)")
        if fault.target == .open { try await tus.expectOffset(0, of: upload) }
    }

    /// A body that is too long by its own word is not asked for.
    @Test func aBodyBeyondTheLengthIsRefusedUnread() async throws {
        let tus = try await TusClient.shared("tus-long")
        let upload = try await tus.begin(5)
        let wire = try HTTPWire(port: tus.port)
        await wire.send(tus.head("PATCH", upload.path, TusClient.patchFields(0) + ["Expect: 100-continue"], length: 6))
        #expect(try await wire.nextHead().status == 413)
        try await tus.add("hello", to: upload, at: 0)
        try await tus.expectRefused(try await tus.patch(upload, 5, "x"), 403, 413, upload: upload, offset: 5)
        try await tus.expectFile("hello", of: upload)
    }

    /// One that does not tell its length is cut at that of the upload.
    @Test func aChunkedBodyBeyondTheLengthKeepsNothingBeyond() async throws {
        let tus = try await TusClient.shared("tus-long")
        let upload = try await tus.begin(5)
        let fields = TusClient.patchFields(0) + ["Transfer-Encoding: chunked"]
        let reply = try await tus.send("PATCH", upload.path, fields, body: HTTPWire.chunked(Array("hello world".utf8), by: 3))
        #expect(reply.status == 413, "\(reply)")
        let offset = try await tus.offset(of: upload)
        #expect(offset <= 5)
        try await tus.add(Array(Array("hello".utf8)[offset...]), to: upload, at: offset)
        try await tus.expectFile("hello", of: upload)
    }

    /// A part that is needed for an unfinished final can be deleted, and takes the final with it, or cannot.
    @Test func deletingAPartOfAnUnfinishedFinal() async throws {
        let tus = try await TusClient.shared("tus-part")
        let parts = [try await tus.part("hello"), try await tus.begin(5, ["Upload-Concat: partial"])]
        let final = try await tus.join(parts)
        let reply = try await tus.delete(parts[0])
        try await tus.expectRefused(reply, 204, 409, 423)
        if reply.status == 204 {
            #expect(try await tus.head(parts[0]).status == 410)
            #expect(try await tus.head(final).status == 410)
        } else {
            try await tus.add("world", to: parts[1], at: 0)
            try await tus.waitUntilJoined(final)
            try await tus.expectFile("helloworld", of: final)
        }
    }

    /// A list as long as a header may be.
    @Test func aFinalOfManyParts() async throws {
        let tus = try await TusClient.shared("tus-many")
        var parts: [TusUpload] = []
        for index in 0..<200 { parts.append(try await tus.part("\(index % 10)")) }
        let final = try await tus.join(parts)
        try await tus.waitUntilJoined(final)
        try await tus.expectFile((0..<200).map { "\($0 % 10)" }.joined(), of: final)
    }

    struct Address: Sendable, CustomTestStringConvertible {
        var settings: [String: String]
        var fields: [String]
        /// nil: the address that was asked.
        var origin: String?
        var testDescription: String { "\(settings) \(fields)" }
    }

    private static let forwarded = ["X-Forwarded-Proto: https", "X-Forwarded-Host: files.example.org"]
    private static let trusting = ["DRIVE_TRUSTED_PROXIES": "127.0.0.1"]

    /// `Location` is the client's way back: clients keep it for days.
    @Test(
        arguments: [
            Address(settings: [:], fields: forwarded, origin: nil),
            Address(settings: trusting, fields: [], origin: nil),
            Address(settings: trusting, fields: forwarded, origin: "https://files.example.org"),
            Address(
                settings: trusting, fields: ["Forwarded: for=203.0.113.7;proto=https;host=f.example.org"],
                origin: "https://f.example.org"),
            Address(settings: ["DRIVE_PUBLIC_URL": "https://drive.example.org"], fields: forwarded, origin: "https://drive.example.org"),
        ]) func theLocationIsRightBehindAProxy(_ address: Address) async throws
    {
        try await withServer("tus-address", environment: address.settings) { server in
            let tus = try await TusClient.of(server)
            let upload = try await tus.begin(5, address.fields)
            let origin = address.origin ?? "http://127.0.0.1:\(server.port)"
            #expect(upload.location.hasPrefix("\(origin)/api/tus/"), "\(upload.location)")
            try await tus.add("hello", to: upload, at: 0, address.fields)
            // The parts of a final are told by the addresses that were given.
            let part = try await tus.part("!", address.fields)
            let final = try await tus.create("Upload-Concat: final;\(part.location)")
            #expect(final.status == 201, "\(final)")
        }
    }
}
