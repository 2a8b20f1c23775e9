import DriveModel
import EngineTestSupport
import Testing

@testable import DriveTasks

/// A task that waits for others.
@Suite(.timeLimit(.minutes(3))) struct DependencyTests {
    @Test(arguments: Engine.underTest)
    func startsWhenAllAreCompleted(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let first = try await site.enqueue()
            let second = try await site.enqueue()
            let last = try await site.enqueue { $0.dependsOn = [first, second, first] }
            #expect(try await site.task(last).waitsFor == 2)
            let claimed = try await site.claim(10)
            #expect(claimed.map(\.taskId) == [first, second])
            try await site.end(Array(claimed.prefix(1)))
            #expect(try await site.claim(1).isEmpty)
            try await site.end(Array(claimed.suffix(1)))
            #expect(try await site.claim(10).map(\.taskId) == [last])
        }
    }

    @Test(arguments: Engine.underTest)
    func oneThatEndedAlreadyIsNotWaitedFor(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let first = try await site.enqueue()
            try await site.end(try await site.claim(1))
            let second = try await site.enqueue { $0.dependsOn = [first] }
            #expect(try await site.claim(1).map(\.taskId) == [second])
            try await site.fail(try await site.claim(0), retryable: false)
            _ = try await site.service.cancelTask(second, in: .someone, by: .someone)
            let error = await expectRefusal(.taskState) { _ = try await site.enqueue { $0.dependsOn = [second] } }
            #expect(error?.details["status"] == "Cancelled")
            #expect(error?.details["wanted"] == "Completed")
        }
    }

    @Test(arguments: Engine.underTest)
    func anotherAccountsIsNotFound(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let others = try await site.enqueue(.other)
            await expectRefusal(.taskNotFound) { _ = try await site.enqueue { $0.dependsOn = [others] } }
            await expectRefusal(.taskNotFound) { _ = try await site.enqueue { $0.dependsOn = ["nothing"] } }
        }
    }

    enum End: CaseIterable, Sendable { case failed, cancelled }

    /// Through the whole chain, each with the one before it as its reason.
    @Test(arguments: Engine.underTest, End.allCases)
    func oneThatDoesNotCompleteCancelsTheChain(kind: Engine, end: End) async throws {
        try await TaskSite.with(kind) { site in
            let first = try await site.enqueue()
            let second = try await site.enqueue { $0.dependsOn = [first] }
            let third = try await site.enqueue { $0.dependsOn = [second] }
            let paused = try await site.enqueue { $0.dependsOn = [first] }
            _ = try await site.service.pauseTask(paused, in: .someone, by: .someone)
            let claimed = try await site.claim(1)
            switch end {
            case .failed: try await site.fail(claimed, retryable: false)
            case .cancelled: _ = try await site.service.cancelTask(first, in: .someone, by: .someone)
            }
            for (id, cause) in [(second, first), (third, second), (paused, first)] {
                let task = try await site.task(id)
                #expect(task.status == .cancelled)
                #expect(task.errorCode == "DEPENDENCY_FAILED")
                #expect(task.errorMessage?.contains(cause) == true)
            }
        }
    }

    @Test(arguments: Engine.underTest)
    func aPausedOneThatWaitedStartsWhenItIsResumed(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let first = try await site.enqueue()
            let second = try await site.enqueue { $0.dependsOn = [first] }
            _ = try await site.service.pauseTask(second, in: .someone, by: .someone)
            try await site.end(try await site.claim(1))
            #expect(try await site.claim(1).isEmpty)
            _ = try await site.service.resumeTask(second, in: .someone, by: .someone)
            #expect(try await site.claim(1).map(\.taskId) == [second])
        }
    }

    @Test(arguments: Engine.underTest)
    func waitsForItsTimeAndForOthers(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let runAt = site.clock.now + .seconds(60)
            let first = try await site.enqueue()
            let early = try await site.enqueue {
                $0.dependsOn = [first]
                $0.runAt = runAt
            }
            try await site.end(try await site.claim(1))
            #expect(try await site.claim(1).isEmpty)
            site.clock.advance(by: .seconds(61))
            #expect(try await site.claim(1).map(\.taskId) == [early])
        }
    }

    /// First the one that failed, then the one that it took with it.
    @Test(arguments: Engine.underTest)
    func afterItsReasonWasRetriedACancelledOneCanBe(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let first = try await site.enqueue()
            let second = try await site.enqueue { $0.dependsOn = [first] }
            try await site.fail(try await site.claim(1), retryable: false)
            await expectRefusal(.taskState) { _ = try await site.service.retryTask(second, in: .someone, by: .someone) }
            _ = try await site.service.retryTask(first, in: .someone, by: .someone)
            #expect(try await site.service.retryTask(second, in: .someone, by: .someone).waitsFor == 1)
            let again = try await site.claim(10)
            #expect(again.map(\.taskId) == [first])
            try await site.end(again)
            #expect(try await site.claim(10).map(\.taskId) == [second])
        }
    }

    /// The one it waited for is Completed by the time it is tried again: there is nothing left to wait for.
    @Test(arguments: Engine.underTest, [false, true])
    func isNotKeptWaitingForWhatCompletedMeanwhile(kind: Engine, isRemoved: Bool) async throws {
        try await TaskSite.with(kind) { site in
            let first = try await site.enqueue()
            let second = try await site.enqueue { $0.dependsOn = [first] }
            try await site.fail(try await site.claim(1), retryable: false)
            _ = try await site.service.retryTask(first, in: .someone, by: .someone)
            try await site.end(try await site.claim(1))
            if isRemoved { try await site.service.deleteTask(first, in: .someone, by: .someone) }
            #expect(try await site.service.retryTask(second, in: .someone, by: .someone).waitsFor == 0)
            #expect(try await site.claim(10).map(\.taskId) == [second])
        }
    }
}
