import ArgumentParser
import DriveDatabase
import DriveModel
import DriveTasks
import Foundation
import Synchronization

/// How long an idle worker takes from the commit of a task to the begin of its handler.
struct Pickup: AsyncParsableCommand {
    @OptionGroup var target: Target
    @Option var tasks = 300

    func run() async throws {
        let began = AsyncStream<(String, ContinuousClock.Instant)>.makeStream()
        let engine = try await target.engine(BenchmarkHandler { began.continuation.yield(($0, .now)) })
        let worker = TaskWorker(engine: engine, name: "bench")
        let working = Task { try await worker.run() }
        let owner = UUID()
        var iterator = began.stream.makeAsyncIterator()
        var waits: [Double] = []
        for index in 0..<tasks + 20 {
            // Idle again: the last one is written, and the worker waits.
            try await Task.sleep(for: .milliseconds(20))
            _ = try await engine.enqueueNothing(account: owner)
            let committed = ContinuousClock.now
            guard let (_, start) = await iterator.next() else { break }
            if index >= 20 { waits.append(max(0, (start - committed).inSeconds) * 1000) }
        }
        try answer([
            "tasks": .integer(Int64(waits.count)), "p50Milliseconds": .double(percentile(0.5, of: waits)),
            "p95Milliseconds": .double(percentile(0.95, of: waits)), "p99Milliseconds": .double(percentile(0.99, of: waits)),
            "maxMilliseconds": .double(waits.max() ?? 0),
        ])
        working.cancel()
        try await working.value
        await engine.database.close()
    }
}

/// Takes tasks and holds them until it is killed; says `held` when it has them.
struct Hold: AsyncParsableCommand {
    @OptionGroup var target: Target
    @Option var tasks = 50

    func run() async throws {
        let held = Mutex(0)
        let (tasks, all) = (tasks, AsyncStream<Void>.makeStream())
        let engine = try await target.engine(
            BenchmarkHandler { _ in
                let count = held.withLock { count in
                    count += 1
                    return count
                }
                if count == tasks { all.continuation.finish() }
                try? await Task.sleep(for: .seconds(600))
            })
        let worker = TaskWorker(engine: engine, name: "hold")
        let working = Task { try await worker.run() }
        for _ in 0..<tasks { _ = try await engine.enqueueNothing(account: UUID()) }
        for await _ in all.stream {}
        try say("held")
        try await working.value
    }
}

/// Runs what a killed worker held; answers when all of it ran.
struct Recover: AsyncParsableCommand {
    @OptionGroup var target: Target
    @Option var tasks = 50

    func run() async throws {
        let started = ContinuousClock.now
        let engine = try await target.engine(BenchmarkHandler { _ in })
        if target.url == nil { _ = try await engine.takeBackOrphans() }
        let worker = TaskWorker(engine: engine, name: "recover")
        let working = Task { try await worker.run() }
        while try await engine.count(.completed) < tasks { try await Task.sleep(for: .milliseconds(5)) }
        try answer(["seconds": .double((ContinuousClock.now - started).inSeconds)])
        working.cancel()
        try await working.value
        await engine.database.close()
    }
}
