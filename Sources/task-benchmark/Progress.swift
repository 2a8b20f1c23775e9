import ArgumentParser
import DriveCrypto
import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import DriveTasks
import DriveUploads
import Foundation
import Logging
import NIOCore
import Synchronization

/// What one progress event costs: the same chunks by a clock that stands, where only every five points are an event, and by one
/// that moves a second with each look at it, where each chunk is.
struct Progress: AsyncParsableCommand {
    @OptionGroup var target: Target
    @Option(help: "Chunks of an upload.") var chunks = 2000
    @Option(help: "Bytes of a chunk.") var size = 65_536
    @Option(help: "Uploads of each kind.") var rounds = 4

    func run() async throws {
        let engine = try await target.engine(BenchmarkHandler { _ in })
        let clock = SteppingClock()
        let surroundings = Surroundings(now: { clock.now() }, randomBytes: Surroundings.system.randomBytes)
        let logger = Logger(label: "bench")
        let io = IOPool(threads: 2)
        let pools = PoolDirectory(
            database: engine.database, io: io, faults: try Faults(specification: ""), surroundings: surroundings,
            dataFolder: target.folder, staging: nil, logger: logger)
        try await pools.start(preferred: nil)
        let uploads = UploadService(
            database: engine.database, pools: pools, io: io, settings: UploadSettings(), surroundings: surroundings, tasks: engine,
            logger: logger)
        var cost: [Bool: [Double]] = [:]
        var events: [Bool: Int] = [:]
        // The first opens connections and prepares statements.
        _ = try await send(by: uploads, clock, stepping: true)
        for round in 0..<rounds * 2 {
            // ABBA, so that what drifts does so for both.
            let stepping = (round % 4 == 1) || (round % 4 == 2)
            let (seconds, count) = try await send(by: uploads, clock, stepping: stepping)
            cost[stepping, default: []].append(seconds / Double(chunks) * 1e6)
            events[stepping] = count
        }
        let (with, without) = (percentile(0.5, of: cost[true] ?? []), percentile(0.5, of: cost[false] ?? []))
        let more = (events[true] ?? 0) - (events[false] ?? 0)
        try answer([
            "chunks": .integer(Int64(chunks)), "bytes": .integer(Int64(size)),
            "eventsAtFivePoints": .integer(Int64(events[false] ?? 0)), "eventsEach": .integer(Int64(events[true] ?? 0)),
            "microsecondsPerChunk": .double(without), "microsecondsPerChunkWithEvent": .double(with),
            "microsecondsPerEvent": .double((with - without) * Double(chunks) / Double(max(1, more))),
        ])
        await io.close()
        await engine.database.close()
    }

    /// Sends one upload's chunks; answers the processor's seconds and the events there were.
    private func send(by uploads: UploadService, _ clock: SteppingClock, stepping: Bool) async throws -> (seconds: Double, events: Int) {
        let caller = Caller(accountId: UUID(), role: .user, address: "", requestId: "bench")
        let request = CreateUploadRequest(fileName: "bench", fileSize: Int64(chunks * size), chunkSize: Int64(size))
        guard let taskId = try await uploads.create(request, idempotencyKey: nil, by: caller).taskId else { return (0, 0) }
        clock.steps(stepping)
        let body = ByteBuffer(repeating: 7, count: size)
        let start = processorSeconds()
        for index in 0..<chunks {
            _ = try await uploads.receiveChunk(index, of: taskId, body: OneBuffer(body), length: Int64(size), replace: false, by: caller)
        }
        let seconds = processorSeconds() - start
        clock.steps(false)
        let events = try await uploads.database.read { sql in
            try sql.first(
                "SELECT COUNT(*) AS events FROM events WHERE account_id = $1 AND type = 'task.progress'", [.uuid(caller.accountId)]
            )?.int("events") ?? 0
        }
        try await uploads.cancel(taskId, by: caller)
        return (seconds, events)
    }
}

/// A clock that stands, or moves a second at each look.
private final class SteppingClock: Sendable {
    private let state = Mutex((now: Surroundings.system.now(), steps: false))

    func now() -> Timestamp {
        state.withLock { state in
            if state.steps { state.now = state.now + .seconds(1) }
            return state.now
        }
    }

    func steps(_ steps: Bool) { state.withLock { $0.steps = steps } }
}

private struct OneBuffer: ChunkBody {
    private var buffer: ByteBuffer?
    var likelyDigests: [DigestAlgorithm] { [] }

    init(_ buffer: ByteBuffer) { self.buffer = buffer }

    func expectedDigests() -> [ExpectedDigest] { [] }

    mutating func next() async throws -> ByteBuffer? {
        defer { buffer = nil }
        return buffer
    }
}
