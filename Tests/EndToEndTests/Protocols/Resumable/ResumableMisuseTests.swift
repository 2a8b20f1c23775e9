import DriveModel
import Testing

/// What a client cannot have meant becomes no file.
@Suite struct ResumableMisuseTests {
    /// A whole file is what has all its bytes: a length that says otherwise is heard, whatever else is missing.
    @Test(arguments: [[], ["Upload-Complete: 0"], ["Upload-Complete: true"]])
    func aLengthThatTheBodyDoesNotHave(_ fields: [String]) async throws {
        let scene = try await ResumableScene.shared("resumable-short-\(fields.count)-\(fields.first?.count ?? 0)", version: nil)
        let created = try await scene.exchange("POST", ResumableScene.target, fields + ["Upload-Length: 10"], body: bytes(5))
        #expect(created.status == 400, "\(created)")
        try await scene.expectNoFile()
    }

    /// tus has an address of its own, which the refusal names.
    @Test(arguments: [[UInt8](), bytes(5)]) func tusAtThisAddress(_ body: [UInt8]) async throws {
        let scene = try await ResumableScene.shared("resumable-tus-\(body.count)", version: nil)
        let created = try await scene.exchange(
            "POST", ResumableScene.target, ["Tus-Resumable: 1.0.0", "Upload-Length: 10", "Content-Type: application/offset+octet-stream"],
            body: body)
        #expect(created.status == 400, "\(created)")
        #expect("\(created)".contains("/api/tus"), "\(created)")
        try await scene.expectNoFile()
    }
}
