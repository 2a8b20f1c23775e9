import DriveModel
import Testing

@testable import DriveClient

/// Uploads that somebody else ends while they are sent, or between two calls.
@Suite(.timeLimit(.minutes(1))) struct UploadCancelTests {
    private static let cancelled = DriveClientError.cancelledOnServer(taskId: "task1")
    private static let creations = "POST /api/files/upload/create"

    // MARK: By answers alone

    /// Whichever request meets it: nothing is begun anew, and nothing kept; a later call is another wish.
    @Test(arguments: [1, 3]) func aCancelEndsTheUpload(parallel: Int) async throws {
        try await Fixture.with { fixture in
            let (path, bytes) = try fixture.write(4500)
            await fixture.drive.hold(chunk: 3)
            let manager = fixture.manager(parallel: parallel)
            let handle = await manager.upload(file: path)
            await fixture.drive.untilHeld()
            await fixture.drive.end("task1", as: .cancelled)
            await fixture.drive.release()
            await #expect(throws: Self.cancelled) { try await handle.result() }
            #expect(await fixture.drive.count(Self.creations) == 1)
            #expect(await fixture.drive.count("DELETE") == 0, "there is nothing to give back")
            #expect(fixture.journals.isEmpty)

            await manager.retry(handle.id)
            #expect(try await handle.result().hash == sha256(bytes))
            #expect(await fixture.drive.count(Self.creations) == 2)
        }
    }

    @Test func aCancelBeforeCompletionEndsTheUpload() async throws {
        try await Fixture.with { fixture in
            let (path, _) = try fixture.write(4500)
            let closed = errorAnswer(409, "TASK_CLOSED", ["taskId": "task1", "status": "Cancelled"])
            await fixture.drive.instead(of: "POST /api/files/upload/complete", closed)
            await #expect(throws: Self.cancelled) { try await fixture.manager().upload(file: path).result() }
            #expect(await fixture.drive.count(Self.creations) == 1)
            #expect(fixture.journals.isEmpty)
        }
    }

    @Test func aCancelledUploadOfOneRequestIsNotRepeated() async throws {
        try await Fixture.with { fixture in
            let (path, _) = try fixture.write(50)
            let closed = errorAnswer(409, "TASK_CLOSED", ["taskId": "task1", "status": "Cancelled"])
            await fixture.drive.instead(of: "POST /api/files/upload/direct", closed)
            await #expect(throws: Self.cancelled) { try await fixture.manager().upload(file: path).result() }
            #expect(await fixture.drive.log.count == 1)
            #expect(fixture.journals.isEmpty)
        }
    }

    @Test func anExpiredUploadOfOneRequestIsBegunAnew() async throws {
        try await Fixture.with { fixture in
            let (path, bytes) = try fixture.write(50)
            let expired = errorAnswer(410, "TASK_EXPIRED", ["taskId": "task1", "status": "Expired"])
            await fixture.drive.instead(of: "POST /api/files/upload/direct", expired)
            #expect(try await fixture.manager().upload(file: path).result().hash == sha256(bytes))
            #expect(await fixture.drive.log.count == 2)
        }
    }

    /// What became of an upload between two calls.
    enum Fate: CaseIterable, Sendable {
        case cancelled, expired, failed, forgotten
    }

    /// Of all of these, a cancel alone is a wish, which one call tells; the next one begins anew.
    @Test(arguments: Fate.allCases) func whatIsNoWishIsBegunAnewByTheNextCall(fate: Fate) async throws {
        try await Fixture.with { fixture in
            let (path, bytes) = try fixture.write(4500)
            await fixture.interrupt(path) {
                switch fate {
                case .cancelled: await fixture.drive.end("task1", as: .cancelled)
                case .expired: await fixture.drive.end("task1", as: .expired)
                case .failed: await fixture.drive.end("task1", as: .failed)
                case .forgotten: await fixture.drive.forget("task1")
                }
            }
            if fate == .cancelled {
                await #expect(throws: Self.cancelled) { try await fixture.manager().upload(file: path).result() }
                #expect(await fixture.drive.count(Self.creations) == 1)
                #expect(fixture.journals.isEmpty)
            }
            #expect(try await fixture.manager().upload(file: path).result().hash == sha256(bytes))
            #expect(await fixture.drive.count(Self.creations) == 2)
            #expect(fixture.journals.isEmpty)
        }
    }

    /// Gone while it is sent, nobody can tell why: this call ends, and the next one begins anew.
    @Test func anUploadThatIsRemovedWhileItIsSentIsNotBegunAnew() async throws {
        try await Fixture.with { fixture in
            let (path, bytes) = try fixture.write(4500)
            await fixture.drive.hold(chunk: 3)
            let handle = await fixture.manager(parallel: 1).upload(file: path)
            await fixture.drive.untilHeld()
            await fixture.drive.forget("task1")
            await fixture.drive.release()
            let error = await #expect(throws: DriveClientError.self) { try await handle.result() }
            #expect(error?.serverReply?.code == "TASK_NOT_FOUND")
            #expect(await fixture.drive.count(Self.creations) == 1)
            #expect(try await fixture.manager().upload(file: path).result().hash == sha256(bytes))
        }
    }

    // MARK: By events

    /// An upload whose every chunk is held, and the events that a test tells: without these the client would learn nothing.
    private struct Stage: Sendable {
        let fixture: Fixture
        let events: EventScript
        let handle: UploadHandle

        var drive: FakeDrive { fixture.drive }

        static func with(_ streams: [ServerAnswer], parallel: Int = 3, _ body: (Stage) async throws -> Void) async throws {
            let events = EventScript(streams + [errorAnswer(404, "NOT_FOUND")])
            try await Fixture.with(events: events, surroundings: SilenceClock().surroundings) { fixture in
                let (path, _) = try fixture.write(4500)
                await fixture.drive.hold(chunk: 0)
                let handle = await fixture.manager(parallel: parallel, listens: true).upload(file: path)
                await fixture.drive.untilHeld()
                let result: Result<Void, any Error>
                do { result = .success(try await body(Stage(fixture: fixture, events: events, handle: handle))) } catch {
                    result = .failure(error)
                }
                // The listener does not tire of a server that is gone.
                await handle.manager.pause(handle.id)
                try result.get()
            }
        }

        /// With a stream that has begun, while the upload is among its open tasks. It is silent but for what the test tells.
        static func listening(
            then later: ServerAnswer..., parallel: Int = 3, _ body: (Stage, AsyncStream<String>.Continuation) async throws -> Void
        ) async throws {
            let (pieces, teller) = AsyncStream.makeStream(of: String.self)
            defer { teller.finish() }
            teller.yield(LiveScene.ready(1))
            teller.yield(UploadCancelTests.open)
            try await with([.stream(pieces, end: .silence)] + later, parallel: parallel) { stage in try await body(stage, teller) }
        }

        func expectCancelled(sourceLocation: SourceLocation = #_sourceLocation) async {
            await #expect(throws: UploadCancelTests.cancelled, sourceLocation: sourceLocation) { try await handle.result() }
            #expect(await drive.count(UploadCancelTests.creations) == 1, sourceLocation: sourceLocation)
            #expect(fixture.journals.isEmpty, sourceLocation: sourceLocation)
        }
    }

    private static let open = LiveScene.snapshot(1, [TaskScene.task("task1", .inProgress)])

    private static func event(_ sequence: Int64, _ word: String, of task: String = "task1") -> String {
        LiveScene.event(sequence, "task.\(word)", ["taskId": .string(task), "status": "x"])
    }

    /// Its chunks are under way, and stay so.
    @Test(arguments: [1, 3]) func itsEventEndsTheUploadAtOnce(parallel: Int) async throws {
        try await Stage.listening(parallel: parallel) { stage, teller in
            await stage.drive.end("task1", as: .cancelled)
            // Another task's is none of its concern.
            teller.yield(Self.event(2, "cancelled", of: "task2"))
            teller.yield(Self.event(3, "cancelled"))
            await stage.expectCancelled()
            let query = stage.events.events.first?.query ?? [:]
            #expect(query["task"] == "task1" && query["types"]?.contains("task.cancelled") == true, "\(query)")
        }
    }

    /// Cancelled before the stream began, or while it was lost: it is among the open tasks no more.
    @Test func aCancelBeforeTheStreamIsSeen() async throws {
        let (pieces, teller) = AsyncStream.makeStream(of: String.self)
        try await Stage.with([.stream(pieces, end: .silence)]) { stage in
            await stage.drive.end("task1", as: .cancelled)
            teller.yield(LiveScene.ready(2))
            teller.yield(LiveScene.snapshot(2))
            await stage.expectCancelled()
            teller.finish()
        }
    }

    /// The stream breaks; what came meanwhile comes over the next one.
    @Test func aCancelWhileTheStreamIsLostIsHeard() async throws {
        let first = LiveScene.stream(LiveScene.ready(1), Self.open, end: .end)
        let (later, laterTeller) = AsyncStream.makeStream(of: String.self)
        try await Stage.with([first, errorAnswer(503, "SHUTTING_DOWN"), .stream(later, end: .silence)]) { stage in
            await stage.drive.end("task1", as: .cancelled)
            laterTeller.yield(LiveScene.ready(1, .resumed))
            laterTeller.yield(Self.event(2, "cancelled"))
            await stage.expectCancelled()
            laterTeller.finish()
            #expect(stage.events.events.last?.query["since"] == "1")
        }
    }

    /// A pause that was over before anybody asked is not the last thing that is heard.
    @Test func aCancelAfterAPauseThatIsOverIsHeard() async throws {
        let (later, laterTeller) = AsyncStream.makeStream(of: String.self)
        try await Stage.listening(then: .stream(later, end: .silence)) { stage, teller in
            teller.yield(Self.event(2, "paused"))
            await stage.drive.until(1, "GET /api/files/upload/resume/task1")
            await stage.drive.end("task1", as: .cancelled)
            laterTeller.yield(LiveScene.ready(2, .resumed))
            laterTeller.yield(Self.event(3, "cancelled"))
            await stage.expectCancelled()
            #expect(stage.events.events.last?.query["since"] == "2")
            laterTeller.finish()
        }
    }

    /// An expiry is nobody's wish.
    @Test func anExpiryIsBegunAnew() async throws {
        try await Stage.listening { stage, teller in
            await stage.drive.end("task1", as: .expired)
            teller.yield(Self.event(2, "expired"))
            // It is begun anew while the old one's chunks are still held.
            await stage.drive.until(2, UploadCancelTests.creations)
            await stage.drive.release()
            let file = try await stage.handle.result()
            #expect(file.hash == sha256(pattern(4500)))
        }
    }

    /// The server's word counts, not the event's: the file is there.
    @Test func aFileThatIsThereAllTheSameIsTheResult() async throws {
        try await Stage.listening { stage, teller in
            teller.yield(Self.event(2, "cancelled"))
            await stage.drive.until(1, "GET /api/files/upload/resume/task1")
            await stage.drive.release()
            let file = try await stage.handle.result()
            #expect(file.hash == sha256(pattern(4500)))
            #expect(await stage.drive.count(UploadCancelTests.creations) == 1)
        }
    }

    /// Its own cancel is no news to the caller: the upload is cancelled, not failed.
    @Test func itsOwnCancelIsNoFailure() async throws {
        try await Stage.listening { stage, teller in
            async let cancel: Void = stage.handle.manager.cancel(stage.handle.id)
            teller.yield(Self.event(2, "cancelled"))
            await cancel
            await #expect(throws: DriveClientError.cancelled) { try await stage.handle.result() }
            #expect(await stage.drive.count("DELETE /api/files/upload/task/task1") == 1)
            #expect(await stage.drive.count(UploadCancelTests.creations) == 1)
        }
    }
}
