import Foundation
import Synchronization
import Testing

@testable import DriveStorage

/// Work under way on another thread, and its outcome.
@Suite(.timeLimit(.minutes(1)))
struct PendingWorkTests {
    private struct Failed: Error, Equatable {}

    @Test func anOutcomeThatIsThereIsTaken() async throws {
        let done = PendingWork<Int>()
        done.finish(.success(7))
        #expect(try await done.outcome() == 7)
        let failed = PendingWork<Int>()
        failed.finish(.failure(Failed()))
        await #expect(throws: Failed()) { try await failed.outcome() }
    }

    /// Whichever comes first, the end or the question.
    @Test func noOutcomeIsMissed() async throws {
        try await StorageFixture.with { _, io in
            for round in 0..<1000 {
                let work = PendingWork<Int>()
                async let asked = work.outcome()
                if round % 2 == 0 { await Task.yield() }
                io.submit { work.finish(.success(round)) }
                let outcome = try await asked
                #expect(outcome == round)
            }
        }
    }

    /// A piece is its owner's again only when nobody reads it: cancellation does not shorten the wait.
    @Test func aCancelledTaskWaitsToTheEnd() async throws {
        let work = PendingWork<Int>()
        let returned = Mutex(false)
        let task = Task {
            let result = await work.result()
            returned.withLock { $0 = true }
            return try result.get()
        }
        await Task.yield()
        task.cancel()
        for _ in 0..<1000 { await Task.yield() }
        #expect(!returned.withLock { $0 })
        work.finish(.success(3))
        #expect(try await task.value == 3)
    }

    @Test func thePoolBeginsWorkAndTellsItsEnd() async throws {
        try await StorageFixture.with { _, io in
            let release = DispatchSemaphore(value: 0)
            let slow = io.start {
                release.wait()
                return 1
            }
            let failing = io.start { () throws -> Int in throw Failed() }
            await #expect(throws: Failed()) { try await failing.outcome() }
            release.signal()
            let outcome = try await slow.outcome()
            #expect(outcome == 1)
        }
    }

    @Test func aClosedPoolRefuses() async throws {
        let io = IOPool(threads: 1)
        await io.close()
        await #expect(throws: StorageError("pool", 125)) { try await io.start { 1 }.outcome() }
    }
}
