import DriveModel
import Testing

/// Versions that Drive does not know, and more than one for one upload.
@Suite struct ResumableMixedVersionTests {
    static let unknown = ["0", "2", "9", "99", "abc", "\"8\"", "8.0", "-8", "8, 8", "?1", ""]

    /// A client of a newer draft must not be refused: it gets an ordinary upload.
    @Test(arguments: unknown) func anUnknownVersionIsAnOrdinaryUpload(_ version: String) async throws {
        let scene = try await ResumableScene.shared("resumable-unknown", version: version)
        for method in ["POST", "PUT"] {
            let created = try await scene.create(true, bytes(1000), ["Content-Type: image/png"], method: method)
            #expect(created.resumptions.isEmpty, "\(created)")
            #expect(try await scene.expectFile(bytes(1000), in: created).contentType == "image/png")
        }
    }

    /// A part is never taken for a whole file.
    @Test(arguments: unknown + ["none"]) func aPartInAnUnknownVersionStaysAPart(_ version: String) async throws {
        let scene = try await ResumableScene.shared(
            "resumable-unknown-part-\(unicode: version)", version: version == "none" ? nil : version)
        let created = try await scene.create(false, bytes(1000))
        #expect(created.resumptions.isEmpty, "\(created)")
        #expect(created.status == 201, "\(created)")
        try await scene.expectNoFile()
        try await scene.finish(scene.target(in: created.final), bytes(2000), from: 1000)
    }

    /// Without any field of the draft it is an upload like any other.
    @Test(arguments: ["POST", "PUT"]) func noFieldAtAll(_ method: String) async throws {
        let scene = try await ResumableScene.shared("resumable-plain", version: nil)
        let created = try await scene.exchange(
            method, ResumableScene.target, ["Content-Disposition: inline; filename=\"\(method).bin\""], body: bytes(5000))
        #expect(created.interim.isEmpty, "\(created)")
        #expect(try await scene.expectFile(bytes(5000), in: created).name == "\(method).bin")
    }

    /// A device may be updated between two requests: the answer follows the request.
    @Test func oneUploadSpeaksManyVersions() async throws {
        let scene = try await ResumableScene.shared("resumable-mixed", version: "3")
        let content = bytes(7000)
        let upload = try await scene.begin(Array(content[..<1000]))
        var offset = 1000
        for version in ["5", "6", nil, "8", "7", "3"] {
            let now = scene.speaking(version)
            try await now.expectState(of: upload, offset: offset, isComplete: false)
            let taken = try await now.patch(upload, at: offset, false, Array(content[offset..<offset + 500]))
            #expect(now.completeness(of: taken.final) == false, "\(version ?? "none"): \(taken)")
            offset += 500
        }
        try await scene.speaking("8").finish(upload, content, from: offset)
        for version in ["3", "5", "6", "7", "8", nil] {
            try await scene.speaking(version).expectState(of: upload, offset: 7000, isComplete: true)
        }
    }

    /// The field of another version says nothing.
    @Test func theFieldOfAnotherVersionIsIgnored() async throws {
        let scene = try await ResumableScene.shared("resumable-foreign", version: "3")
        // In version 3, ?0 means: complete.
        let created = try await scene.create(true, bytes(10), ["Upload-Complete: ?0"])
        try await scene.expectFile(bytes(10), in: created)
        let newer = try await scene.speaking("8").create(true, bytes(10), ["Upload-Incomplete: ?1"])
        try await scene.expectFile(bytes(10), in: newer)
    }

    /// A retry of the last request, whose answer was lost, gets it again; bytes beyond the end are refused.
    @Test(arguments: ["6", "7", "8", nil]) func aCompleteUploadIsNotAddedTo(_ version: String?) async throws {
        let scene = try await ResumableScene.shared("resumable-replay-\(version ?? "none")", version: version)
        let (upload, file) = try await ResumableRow.completeUpload(scene)
        let replayed = try await scene.patch(upload, at: 100, true)
        #expect(scene.completeness(of: replayed.final) == true || replayed.status == 400, "\(replayed)")
        if version == "8" || version == nil { #expect(try await scene.expectFile(bytes(100), in: replayed) == file) }
        #expect(try await scene.patch(upload, at: 100, true, [1]).status == 400)
        try await scene.expectState(of: upload, offset: 100, isComplete: true)
        #expect(try await scene.files() == [file])
    }
}

extension String.StringInterpolation {
    /// A text as the codes of its characters, for names that take no others.
    fileprivate mutating func appendInterpolation(unicode text: String) {
        appendInterpolation(text.unicodeScalars.map { String($0.value, radix: 16) }.joined(separator: "-"))
    }
}
