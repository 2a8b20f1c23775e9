import DriveModel
import EngineTestSupport
import Foundation
import Testing

@testable import DriveTasks

/// Whoever failed may ask not to be tried again any sooner.
@Suite(.timeLimit(.minutes(1))) struct RetryAfterTests {
    private static let waits: [(asked: Duration?, wait: ClosedRange<Double>)] = [
        (nil, 1.5...2.5), (.zero, 1.5...2.5), (.seconds(1), 1.5...2.5), (.seconds(600), 600...601),
    ]

    @Test(arguments: Engine.underTest, waits)
    func theLongerWaitCounts(kind: Engine, row: (asked: Duration?, wait: ClosedRange<Double>)) async throws {
        try await TaskSite.with(kind) { site in
            site.engine.register([
                QuickHandler(kind: "asked") { [asked = row.asked] _ in
                    throw TaskFailure(code: "BUSY", message: "Later.", isRetryable: true, retryAfter: asked)
                }
            ])
            try await site.withWorker { _ in
                let id = try await site.enqueue(kind: "asked")
                try await eventually { try await site.task(id).errorCode == "BUSY" }
                let task = try await site.task(id)
                let wait = (try #require(task.runAt) - task.lastActivity).inSeconds
                #expect(row.wait.contains(wait), "\(wait)")
            }
        }
    }
}
