import DriveModel
import Testing

@testable import DriveClient

/// What the planner makes of news that others changed the upload, whatever is under way when they come.
@Suite struct UploadPlannerNewsTests {
    private static let cancelled = UploadPlanner.Event.changedElsewhere(UploadNews(status: .cancelled, sequence: 7))
    private static let paused = UploadPlanner.Event.changedElsewhere(UploadNews(status: .paused, sequence: 1))
    private static let notFound = PlannerScene.error(404, "TASK_NOT_FOUND")
    private static let closed = PlannerScene.error(409, "TASK_CLOSED", ["status": "Cancelled"])
    private static let end = UploadPlanner.Step.failed(.cancelledOnServer(taskId: "t"))

    /// Whatever is under way: the server is asked at once, and once.
    @Test func whatOthersDoToTheUploadIsAskedForAtOnce() {
        var planner = PlannerScene.planner()
        guard case .send = planner.next(now: .zero) else {
            Issue.record("nothing to send")
            return
        }
        planner.handle(Self.paused, now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .refresh)
        planner.handle(Self.paused, now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .idle)
        planner.handle(PlannerScene.refreshed(.paused), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .failed(.pausedOnServer(taskId: "t")))
        // Its end is its end.
        planner.handle(Self.paused, now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .failed(.pausedOnServer(taskId: "t")))
    }

    /// Several chunks are under way: the first refusal ends it, and no later answer changes that.
    @Test func aChunkRefusedAsCancelledEndsIt() {
        var planner = PlannerScene.planner(2)
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
            var planner = PlannerScene.planner(2)
            _ = planner.next(now: .zero)
            if isHeard { planner.handle(Self.cancelled, now: .zero, jitter: 0) }
            planner.handle(answer, now: .zero, jitter: 0)
            #expect(planner.next(now: .zero) == (isHeard ? Self.end : .failed(Self.notFound)))
        }
    }

    /// A wait for a server that did not answer is over with its news.
    @Test func newsAreAskedForAtOnceInAWait() {
        var planner = PlannerScene.planner(2, parallel: 1)
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
        var planner = PlannerScene.planner(2, parallel: 1)
        _ = planner.next(now: .zero)
        planner.handle(.chunkFailed(0, PlannerScene.error(401, "UNAUTHENTICATED")), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .refresh)
        planner.handle(Self.cancelled, now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .idle)
        planner.handle(PlannerScene.refreshed(.inProgress), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .refresh)
        planner.handle(PlannerScene.refreshed(.cancelled), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == Self.end)
    }

    /// Completion is asked for when the news come: the file, where there is one, is the answer.
    @Test(arguments: [
        (CompleteReply.file(PlannerScene.file) as CompleteReply?, UploadPlanner.Step.finished(PlannerScene.file)), (nil, end),
        (.verifying(VerifyingReply(taskId: "t", progress: 1), retryAfter: 30), .refresh),
    ]) func theAnswerToACompletionCounts(reply: CompleteReply?, step: UploadPlanner.Step) {
        var planner = PlannerScene.planner(2, stored: [0, 1])
        #expect(planner.next(now: .zero) == .complete)
        planner.handle(Self.cancelled, now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .idle)
        planner.handle(reply.map { .completed($0) } ?? .completeFailed(Self.closed), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == step)
    }

    /// Its answer was lost: the server says what became of it.
    @Test(arguments: [(TaskStatus.completed, UploadPlanner.Step.complete), (.cancelled, end)])
    func aLostCompletionIsAskedFor(status: TaskStatus, step: UploadPlanner.Step) {
        var planner = PlannerScene.planner(2, stored: [0, 1])
        #expect(planner.next(now: .zero) == .complete)
        planner.handle(Self.cancelled, now: .zero, jitter: 0)
        planner.handle(.completeFailed(.network("gone")), now: .zero, jitter: 1)
        #expect(planner.next(now: .zero) == .refresh)
        planner.handle(PlannerScene.refreshed(status, [0, 1]), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == step)
    }

    /// Paused and resumed before anybody asked.
    @Test func newsThatAreOverDisturbNothing() {
        var planner = PlannerScene.planner(2, parallel: 1)
        #expect(planner.next(now: .zero) == .send(chunk: 0, replace: false))
        planner.handle(.changedElsewhere(UploadNews(status: .paused, sequence: 3)), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .refresh)
        planner.handle(.chunkStored(0), now: .zero, jitter: 0)
        planner.handle(PlannerScene.refreshed(.inProgress, [0]), now: .zero, jitter: 0)
        #expect(planner.next(now: .zero) == .send(chunk: 1, replace: false))
    }
}
