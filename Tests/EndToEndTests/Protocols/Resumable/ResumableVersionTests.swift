import DriveModel
import Foundation
import Testing

/// What one interop version expects of a server, where versions differ.
struct ResumableVersion: Sendable, CustomTestStringConvertible {
    /// nil: the final form, without the field.
    let version: String?
    /// Whether a creation gets a 104.
    var announces = true
    /// The status that acknowledges an incomplete append.
    var appended = 204
    /// The member of Upload-Limit for the upload's life; nil: the version has no such field.
    var lifetime: String? = "max-age"
    /// Whether an append is of the type application/partial-upload.
    var hasMediaType = true
    /// Whether HEAD and DELETE with fields of an append are malformed.
    var isStrictAboutFields = false
    /// Whether the completing response to a creation names the upload resource.
    var locatesCompleted = false
    /// Whether an append without the completeness field is the last one.
    var completesUnsaid = false
    var hasLength = true

    var testDescription: String { version.map { "version \($0)" } ?? "no version" }

    static let all = [
        ResumableVersion(
            version: "3", appended: 201, lifetime: nil, hasMediaType: false, isStrictAboutFields: true, locatesCompleted: true,
            completesUnsaid: true, hasLength: false),
        ResumableVersion(
            version: "5", appended: 201, lifetime: nil, hasMediaType: false, isStrictAboutFields: true, locatesCompleted: true,
            hasLength: false),
        ResumableVersion(version: "6", appended: 201, lifetime: "expires", isStrictAboutFields: true, locatesCompleted: true),
        ResumableVersion(version: "7"),
        ResumableVersion(version: "8"),
        ResumableVersion(version: nil, announces: false),
    ]

    func scene(_ name: String) async throws -> ResumableScene {
        try await ResumableScene.shared("resumable-\(name)-\(version ?? "none")", version: version)
    }

    /// An append by the version's own letter.
    func append(
        _ scene: ResumableScene, _ upload: String, at offset: Int, _ isComplete: Bool?, _ body: [UInt8]
    ) async throws -> ResumableExchange {
        let fields = scene.appending(at: offset, isComplete).filter { hasMediaType || !$0.hasPrefix("Content-Type") }
        return try await scene.exchange("PATCH", upload, fields, body: body)
    }

    func expectLimit(_ reply: Reply?, sourceLocation: SourceLocation = #_sourceLocation) {
        guard let lifetime else { return }
        let limits = uploadLimits(reply)
        #expect(limits?["max-size"] != nil, "\(reply?.headers.description ?? "")", sourceLocation: sourceLocation)
        let other = lifetime == "expires" ? "max-age" : "expires"
        #expect(limits?[lifetime] != nil && limits?[other] == nil, "\(limits ?? [:])", sourceLocation: sourceLocation)
    }

    /// Fails the test where a response says something else in this version's field, or anything in another version's.
    func expectCompleteness(
        _ isComplete: Bool, _ reply: Reply?, _ scene: ResumableScene, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let place = "\(reply?.status ?? 0) \(reply?.headers.description ?? "no response")"
        #expect(scene.completeness(of: reply) == isComplete, "\(place)", sourceLocation: sourceLocation)
        let foreign = scene.speaksIncomplete ? "Upload-Complete" : "Upload-Incomplete"
        #expect(reply?.header(foreign) == nil, "\(place)", sourceLocation: sourceLocation)
        #expect(reply?.header("Upload-Draft-Interop-Version") == version, "\(place)", sourceLocation: sourceLocation)
    }
}

/// Each interop version has its own fields and statuses.
@Suite struct ResumableVersionTests {
    @Test(arguments: ResumableVersion.all) func incompleteCreation(_ version: ResumableVersion) async throws {
        let scene = try await version.scene("incomplete")
        for method in ["POST", "PUT"] {
            let created = try await scene.create(false, bytes(10), method: method)
            #expect(created.status == 201, "\(created)")
            version.expectCompleteness(false, created.final, scene)
            #expect(created.header("Upload-Offset") == "10", "\(created)")
            version.expectLimit(created.final)
            let upload = try scene.target(in: created.final)
            try expectAnnouncement(created, version, scene, upload)
            try await scene.expectState(of: upload, offset: 10, isComplete: false)
        }
        try await scene.expectNoFile()
    }

    @Test(arguments: ResumableVersion.all) func completeCreation(_ version: ResumableVersion) async throws {
        let scene = try await version.scene("complete")
        for size in [0, 1, 100_000] {
            let fields = ["Content-Disposition: inline; filename=\"\(size).png\"", "Content-Type: image/png"]
            let created = try await scene.create(true, bytes(size), fields)
            let file = try await scene.expectFile(bytes(size), in: created)
            #expect([file.name, file.contentType] == ["\(size).png", "image/png"])
            #expect(created.status == 201, "\(created)")
            version.expectCompleteness(true, created.final, scene)
            #expect(created.header("Upload-Offset") == "\(size)", "\(created)")
            try expectAnnouncement(created, version, scene, nil)
            if version.locatesCompleted {
                try await scene.expectState(of: scene.target(in: created.final), offset: size, isComplete: true)
            }
        }
    }

    @Test(arguments: ResumableVersion.all) func appends(_ version: ResumableVersion) async throws {
        let scene = try await version.scene("appends")
        let upload = try await scene.begin(bytes(10))
        let taken = try await version.append(scene, upload, at: 10, false, Array(bytes(1000)[10...]))
        #expect(taken.status == version.appended, "\(taken)")
        version.expectCompleteness(false, taken.final, scene)
        #expect(taken.header("Upload-Offset") == "1000", "\(taken)")
        #expect(taken.resumptions.allSatisfy { $0.header("Location") == nil }, "\(taken)")
        try await scene.expectState(of: upload, offset: 1000, isComplete: false)

        let completed = try await version.append(scene, upload, at: 1000, true, Array(bytes(70_000)[1000...]))
        try await scene.expectFile(bytes(70_000), in: completed)
        version.expectCompleteness(true, completed.final, scene)
        #expect(completed.header("Upload-Offset") == "70000", "\(completed)")
        try await scene.expectState(of: upload, offset: 70_000, isComplete: true)
    }

    /// The end may come with no bytes.
    @Test(arguments: ResumableVersion.all) func emptyContent(_ version: ResumableVersion) async throws {
        let scene = try await version.scene("empty")
        let upload = try await scene.begin(bytes(10))
        let nothing = try await version.append(scene, upload, at: 10, false, [])
        #expect(nothing.status == version.appended, "\(nothing)")
        try await scene.expectFile(bytes(10), in: version.append(scene, upload, at: 10, true, []))
        let other = try await scene.begin()
        try await scene.expectFile([], in: version.append(scene, other, at: 0, true, []))
    }

    @Test(arguments: ResumableVersion.all) func appendWithoutCompleteness(_ version: ResumableVersion) async throws {
        let scene = try await version.scene("unsaid")
        let upload = try await scene.begin(bytes(10))
        let reply = try await version.append(scene, upload, at: 10, nil, Array(bytes(20)[10...]))
        if version.completesUnsaid {
            try await scene.expectFile(bytes(20), in: reply)
        } else {
            #expect([version.appended, 400].contains(reply.status), "\(reply)")
            try await scene.expectState(of: upload, offset: reply.status == 400 ? 10 : 20, isComplete: false)
            try await scene.expectNoFile()
        }
    }

    @Test(arguments: ResumableVersion.all) func mediaType(_ version: ResumableVersion) async throws {
        let scene = try await version.scene("media-type")
        let upload = try await scene.begin()
        var offset = 0
        func append(_ type: String?) async throws -> ResumableExchange {
            let fields = ["Upload-Offset: \(offset)", scene.completeness(false)] + (type.map { ["Content-Type: \($0)"] } ?? [])
            return try await scene.exchange("PATCH", upload, fields, body: bytes(10))
        }
        for type in [nil, "application/octet-stream", "application/partial-upload-x"] {
            let reply = try await append(type)
            guard version.hasMediaType else {
                #expect(reply.status == version.appended, "\(type ?? "none"): \(reply)")
                offset += 10
                continue
            }
            #expect(reply.status == 415, "\(type ?? "none"): \(reply)")
            #expect(reply.header("Accept-Patch")?.contains("application/partial-upload") == true, "\(reply)")
            try await scene.expectState(of: upload, offset: offset, isComplete: false)
        }
        for type in ["application/partial-upload", "Application/Partial-Upload; a=b"] {
            #expect(try await append(type).status == version.appended, "\(type)")
            offset += 10
        }
        try await scene.expectState(of: upload, offset: offset, isComplete: false)
    }

    @Test(arguments: ResumableVersion.all, ["HEAD", "GET"]) func retrieval(_ version: ResumableVersion, _ method: String) async throws {
        let scene = try await version.scene("retrieval")
        let upload = try await scene.begin(bytes(10), version.hasLength ? ["Upload-Length: 20"] : [])
        let reply = try await scene.retrieve(upload, method: method)
        #expect(reply.status == 204)
        #expect(reply.header("Upload-Offset") == "10")
        #expect(reply.header("Cache-Control") == "no-store")
        version.expectCompleteness(false, reply, scene)
        version.expectLimit(reply)
        if version.hasLength { #expect(reply.header("Upload-Length") == "20") }
        for fields in [["Upload-Offset: 10"], [scene.completeness(false)]] {
            let malformed = try await scene.retrieve(upload, fields)
            #expect(malformed.status == (version.isStrictAboutFields ? 400 : 204), "\(fields): \(malformed)")
        }
        let unknown = try await scene.retrieve(upload + "x", method: method)
        #expect(unknown.status == 404)
    }

    @Test(arguments: ResumableVersion.all) func mismatch(_ version: ResumableVersion) async throws {
        let scene = try await version.scene("mismatch")
        let upload = try await scene.begin(bytes(10))
        for offset in [9, 11] {
            let refused = try await version.append(scene, upload, at: offset, true, [1])
            #expect(refused.status == 409, "\(refused)")
            #expect(refused.header("Upload-Offset") == "10", "\(refused)")
            version.expectCompleteness(false, refused.final, scene)
            if version.hasMediaType {
                #expect(refused.header("Content-Type")?.hasPrefix("application/problem+json") == true, "\(refused)")
                #expect(refused.final?.json["expected-offset"] == .integer(10), "\(refused)")
                #expect(refused.final?.json["provided-offset"] == .integer(Int64(offset)), "\(refused)")
            }
        }
        try await scene.expectState(of: upload, offset: 10, isComplete: false)
        try await scene.expectFile(bytes(20), in: version.append(scene, upload, at: 10, true, Array(bytes(20)[10...])))
    }

    @Test(arguments: ResumableVersion.all) func cancellation(_ version: ResumableVersion) async throws {
        let scene = try await version.scene("cancellation")
        let upload = try await scene.begin(bytes(10))
        let cancelled = try await scene.cancel(upload)
        #expect(cancelled.status == 204, "\(cancelled)")
        #expect(cancelled.header("Upload-Draft-Interop-Version") == version.version, "\(cancelled)")
        try await scene.expectGone(upload, at: 10)
        // Of a complete upload the resource goes, the file stays.
        let (complete, file) = try await ResumableRow.completeUpload(scene)
        #expect(try await scene.cancel(complete).status == 204)
        #expect(try await scene.files() == [file])
        #expect(try await scene.cancel(upload + "x").status == 404)
    }

    @Test(arguments: ResumableVersion.all) func options(_ version: ResumableVersion) async throws {
        let reply = try await version.scene("options").exchange("OPTIONS", ResumableScene.target)
        #expect([200, 204].contains(reply.status), "\(reply)")
        #expect(uploadLimits(reply.final)?.isEmpty == false, "\(reply)")
        #expect(reply.header("Accept-Patch")?.contains("application/partial-upload") == true, "\(reply)")
        let allowed = Set(reply.header("Allow")?.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) } ?? [])
        #expect(allowed.isSuperset(of: ["POST", "PUT"]), "\(reply)")
    }

    /// A 104, if the version has any, and the same Location as in the final response.
    private func expectAnnouncement(
        _ created: ResumableExchange, _ version: ResumableVersion, _ scene: ResumableScene, _ upload: String?
    ) throws {
        #expect(created.resumptions.count == (version.announces ? 1 : 0), "\(created)")
        guard let first = created.resumptions.first else { return }
        let target = try scene.target(in: first)
        if let upload { #expect(target == upload) }
        #expect(first.header("Upload-Draft-Interop-Version") == version.version, "\(created)")
        version.expectLimit(first)
    }
}
