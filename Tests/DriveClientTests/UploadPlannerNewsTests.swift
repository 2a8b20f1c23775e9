import DriveModel
import Foundation
import Testing

@testable import DriveClient

/// What the planner makes of news that others changed the upload, whatever is under way when they come.
@Suite struct UploadPlannerNewsTests {
    private static let file = CloudFile(
        id: "f", name: "n", size: 2, contentType: "t", hash: "h", poolId: UUID(), createdAt: Timestamp(seconds: 0),
        updatedAt: Timestamp(seconds: 0))
    private static let cancelled = UploadPlanner.Event.changedElsewhere(UploadNews(status: .cancelled, sequence: 7))
    private static let notFound = error(404, "TASK_NOT_FOUND")
    private static let closed = error(409, "TASK_CLOSED", ["status": "Cancelled"])
    private static let end = UploadPlanner.Step.failed(.cancelledOnServer(taskId: "t"))

    private static func planner(stored: [Int] = [], parallel: Int = 2) -> UploadPlanner {
        UploadPlanner(
            plan: ChunkPlan(fileSize: 2, chunkSize: 1), taskId: "t", stored: stored, parallel: parallel,
            policy: RetryPolicy(base: .seconds(1), cap: .seconds(8), patience: .seconds(60)))
    }

    private static func error(_ status: Int, _ code: String, _ details: [String: JSONValue] = [:]) -> DriveClientError {
        .server(ErrorReply(code: code, message: "m", status: status, details: details, requestId: nil), retryAfter: nil)
    }

    private static func information(_ status: TaskStatus, _ stored: [Int] = []) -> UploadPlanner.Event {
        .refreshed(
            ResumeInformation(
                taskId: "t", fileName: "n", fileSize: 2, contentType: "", hash: nil, chunkSize: 1, chunksCount: 2,
                uploadedChunks: stored, status: status, fileId: nil, sessionToken: nil, sessionExpiresAt: nil))
    }

    /// Several chunks are under way: the first refusal ends it, and no later answer changes that.
    @Test func aChunkRefusedAsCancelledEndsIt() {
        var planner = Self.planner()
        _ = planner.next(now: .zero)
        _ = planner.next(now: .zero)
        planner.handle(.chunkFailed(1, Self.closed), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == Self.end)
        planner.handle(.chunkStored(0), now: .zero, jitter: 0)
        planner.handle(.chunkFailed(0, .network("gone")), now: .zero, jitter: 0)
        planner.handle(Self.cancelled, now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == Self.end)
    }

    /// An upload of which nothing is known any more was cancelled if that was heard; otherwise nobody can tell.
    @Test(arguments: [true, false]) func aForgottenUploadIsCancelledOnlyWhereThatWasHeard(isHeard: Bool) {
        for answer in [UploadPlanner.Event.chunkFailed(0, Self.notFound), .refreshFailed(Self.notFound)] {
            var planner = Self.planner()
            _ = planner.next(now: .zero)
            if isHeard { planner.handle(Self.cancelled, now: .zero, jitter: 0) }
            planner.handle(answer, now: .zero, jitter: 0)
            #expect(planner.next(now: .zero) == (isHeard ? Self.end : .failed(Self.notFound)))
        }
    }

    /// A wait for a server that did not answer is over with its news.
    @Test func newsAreAskedForAtOnceInAWait() {
        var planner = Self.planner(parallel: 1)
        _ = planner.next(now: .zero)
        planner.handle(.chunkFailed(0, .network("gone")), now: .zero, jitter: 1)
        #expect(planner.next(now: .zero) == .wait(until: .seconds(1)))
        planner.handle(Self.cancelled, now: .milliseconds(100), jitter: 0)
        #expect(planner.next(now: .milliseconds(100)) == .refresh)
        planner.handle(.refreshFailed(Self.closed), now: .milliseconds(100), jitter: 0)
        #expect(planner.next(now: .milliseconds(100)) == Self.end)
    }

    /// An answer that was on its way when the news came may be older than they are.
    @Test func anAnswerOlderThanTheNewsIsAskedForAgain() {
        var planner = Self.planner(parallel: 1)
        _ = planner.next(now: .zero)
        planner.handle(.chunkFailed(0, Self.error(401, "UNAUTHENTICATED")), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .refresh)
        planner.handle(Self.cancelled, now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .idle)
        planner.handle(Self.information(.inProgress), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .refresh)
        planner.handle(Self.information(.cancelled), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == Self.end)
    }

    /// Completion is asked for when the news come: the file, where there is one, is the answer.
    @Test(arguments: [
        (CompleteReply.file(file) as CompleteReply?, UploadPlanner.Step.finished(file)), (nil, end),
        (.verifying(VerifyingReply(taskId: "t", progress: 1), retryAfter: 30), .refresh),
    ]) func theAnswerToACompletionCounts(reply: CompleteReply?, step: UploadPlanner.Step) {
        var planner = Self.planner(stored: [0, 1])
        #expect(planner.next(now: .zero) == .complete)
        planner.handle(Self.cancelled, now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .idle)
        planner.handle(reply.map { .completed($0) } ?? .completeFailed(Self.closed), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == step)
    }

    /// Its answer was lost: the server says what became of it.
    @Test(arguments: [(TaskStatus.completed, UploadPlanner.Step.complete), (.cancelled, end)])
    func aLostCompletionIsAskedFor(status: TaskStatus, step: UploadPlanner.Step) {
        var planner = Self.planner(stored: [0, 1])
        #expect(planner.next(now: .zero) == .complete)
        planner.handle(Self.cancelled, now: .zero, jitter: 0)
        planner.handle(.completeFailed(.network("gone")), now: .zero, jitter: 1)
        #expect(planner.next(now: .zero) == .refresh)
        planner.handle(Self.information(status, [0, 1]), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == step)
    }

    /// Paused and resumed before anybody asked.
    @Test func newsThatAreOverDisturbNothing() {
        var planner = Self.planner(parallel: 1)
        #expect(planner.next(now: .zero) == .send(chunk: 0, replace: false))
        planner.handle(.changedElsewhere(UploadNews(status: .paused, sequence: 3)), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .refresh)
        planner.handle(.chunkStored(0), now: .zero, jitter: 0)
        planner.handle(Self.information(.inProgress, [0]), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .send(chunk: 1, replace: false))
    }
}
