import DriveModel
import EngineTestSupport
import Testing

@testable import DriveTasks

/// What a worker reports: six plain characters that look like an escape are text and are kept.
@Suite(.timeLimit(.minutes(3))) struct StoredLettersTests {
    @Test(arguments: Engine.underTest)
    func theLettersOfAnEscapeAreKept(kind: Engine) async throws {
        try await TaskSite.with(kind) { site in
            let service = site.service
            let letters: JSONValue = .string(#"a\u0000b"#)
            _ = try await service.createTask(CreateTaskRequest(type: .custom, kind: "letters"), idempotencyKey: nil, by: .someone)
            let lease = try #require(try await service.lease(kinds: ["letters"], worker: "w", wait: .zero, in: .someone))
            for bad: JSONValue in ["a\0b", ["\0": 1]] {
                let checkpoint = await expectRefusal(.invalidRequest) {
                    _ = try await service.updateTaskProgress(lease.leaseId, progress: 1, message: nil, checkpoint: bad, in: .someone)
                }
                #expect(checkpoint?.details["rule"] == "checkpoint")
                let results = await expectRefusal(.invalidRequest) {
                    _ = try await service.markTaskCompleted(lease.leaseId, results: ["r": bad], in: .someone)
                }
                #expect(results?.details["rule"] == "results")
            }
            _ = try await service.updateTaskProgress(lease.leaseId, progress: 1, message: nil, checkpoint: letters, in: .someone)
            let done = try await service.markTaskCompleted(
                lease.leaseId, results: ["r": letters, "n": .unsigned(.max)], in: .someone)
            #expect(done.results == ["r": letters, "n": .unsigned(.max)])
        }
    }
}
