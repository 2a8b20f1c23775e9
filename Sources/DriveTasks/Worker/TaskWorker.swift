import DriveDatabase
import DriveEvents
import DriveModel
import Foundation
import Logging
import Synchronization

/// Runs tasks of some queues in this process: takes what waits, runs the handlers, writes how they ended.
///
/// Its parts stand in extensions: the loops that take and end tasks here, what was asked of running ones and their progress
/// in `+Attention`, sign of life and the rescue of others in `+Life`.
public final class TaskWorker: Sendable {
    let engine: TaskEngine
    let queues: [String]
    let slots: Int
    let id: String
    let name: String
    let logger: Logger
    let state = Mutex(State())
    /// There may be something to take: work came, or a slot is free.
    let workSignal = WakeSignal()
    /// An attempt ended, and waits to be written.
    let endSignal = WakeSignal()
    /// Something was asked of a running task.
    let attentionSignal = WakeSignal()
    let scheduleSignal = WakeSignal()

    struct State {
        /// By `RunningTask.key`.
        var running: [String: RunningTask] = [:]
        var ended: [EndedAttempt] = []
        /// Attempts whose end is being written now.
        var endsUnderWay = 0
        /// A claim is under way, whose tasks are not in `running` yet.
        var isClaiming = false
        /// When the last sign of life was written.
        var lastBeat = ContinuousClock.now
        var isStopping = false
        /// Nothing is written any more.
        var isStopped = false
    }

    /// Attempts whose ends are written in one transaction at most, and tasks taken in one.
    static let batch = 64

    /// - Parameter name: for people; the machine and the process say most.
    public init(engine: TaskEngine, queues: [String] = [TaskQueues.drive], name: String) {
        self.engine = engine
        self.queues = queues
        self.name = name
        slots = engine.settings.slots
        id = engine.surroundings.newIdentifier()
        logger = engine.logger
    }

    /// How many tasks run here now.
    public var runningCount: Int { state.withLock { $0.running.count } }

    /// Works until the Swift task that runs this is cancelled; then lets the running tasks run on for a while, gives the rest
    /// back, and returns. Throws only where it cannot listen to the database at all.
    public func run() async throws {
        await enlist()
        let listener = try engine.database.listen(to: [TaskEngine.workChannel, TaskEngine.controlChannel, TaskEngine.scheduleChannel])
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.listen(to: listener) }
            group.addTask { await self.takeTasks() }
            group.addTask { await self.attend() }
            group.addTask { await self.beatForEver() }
            group.addTask { await self.rescueOthers() }
            group.addTask { await self.runSchedules() }
            // Its own Swift task, as what has ended is written also while this one is cancelled.
            let writer = Task { await self.writeEnds() }
            await withTaskCancellationHandler {
                await self.untilStopping()
            } onCancel: {
                self.beginStopping()
            }
            await self.drain()
            state.withLock { $0.isStopped = true }
            for signal in [workSignal, endSignal, attentionSignal, scheduleSignal] { signal.signal() }
            await writer.value
            group.cancelAll()
            await listener.close()
        }
        // When nothing of this worker beats any more.
        await farewell()
    }

    /// Puts this worker on record; where the database does not answer, as soon as it does.
    private func enlist() async {
        while !Task.isCancelled {
            do {
                return try await engine.database.write { [self] sql in try engine.enlist(id, name: name, isLease: false, in: sql) }
            } catch {
                logger.warning("this worker cannot begin yet", metadata: ["error": "\(error)"])
                await pause(engine.settings.pollInterval)
            }
        }
    }

    private let stopSignal = WakeSignal()

    private func untilStopping() async {
        while !state.withLock({ $0.isStopping }) { await stopSignal.wait() }
    }

    private func beginStopping() {
        state.withLock { $0.isStopping = true }
        stopSignal.signal()
        workSignal.signal()
    }

    var isStopping: Bool { state.withLock { $0.isStopping } }
    var isStopped: Bool { state.withLock { $0.isStopped } }

    // MARK: Taking

    private func takeTasks() async {
        var next = 0
        while !isStopping {
            let free = state.withLock { slots - $0.running.count }
            guard free > 0 else {
                await workSignal.wait(atMost: engine.settings.pollInterval)
                continue
            }
            let wanted = min(free, Self.batch)
            state.withLock { $0.isClaiming = true }
            let outcome = await take(wanted, startingAt: next)
            state.withLock { $0.isClaiming = false }
            next += 1
            switch outcome {
            case .taken(let count, let due): if count < wanted { await waitForWork(until: due) }
            case .failed: await pause(engine.settings.pollInterval)
            }
        }
    }

    private enum Taking {
        /// So many, and when the next task falls due.
        case taken(Int, due: Timestamp?)
        /// The database does not answer.
        case failed
    }

    /// Takes from the queues in turn.
    private func take(_ wanted: Int, startingAt first: Int) async -> Taking {
        // A newer server may have made tasks of types that this one does not know.
        let types = engine.handledTypes
        do {
            let (engine, queues) = (engine, queues)
            let (waiting, due, isExpired) = try await engine.database.read { sql in try engine.outlook(queues, in: sql) }
            // Before a claim, so that nothing begins whose time is over.
            if isExpired { _ = try await engine.expireDue() }
            // A claim puts what fell due into its lane, whatever its queue.
            let isDue = due.map { $0 <= engine.surroundings.now() } ?? false
            let promising = isDue ? queues : waiting
            var taken = 0
            for offset in promising.indices where taken < wanted {
                let queue = promising[(first + offset) % promising.count]
                let count = wanted - taken
                let tasks = try await engine.database.write { [self] sql in
                    // Who was taken for lost takes nothing before it is on record again: nobody would watch over it.
                    try engine.isEnlisted(id, in: sql) ? try engine.claim(count, queue: queue, worker: id, types: types, in: sql) : []
                }
                taken += tasks.count
                for task in tasks {
                    if isStopping { end(task, as: .released) } else { start(task) }
                }
            }
            return .taken(taken, due: isDue ? nil : due)
        } catch {
            logger.warning("tasks cannot be taken now", metadata: ["error": "\(error)"])
            return .failed
        }
    }

    /// Until a notification, a free slot, the next due time, or the regular look.
    private func waitForWork(until due: Timestamp?) async {
        // Over SQLite, which is this process's alone, every change is told; only times need a look.
        var limit = engine.database.dialect == .sqlite ? .seconds(15) : engine.settings.pollInterval
        if let due { limit = min(limit, max(.milliseconds(1), due - engine.surroundings.now())) }
        await workSignal.wait(atMost: limit)
    }

    private func start(_ claimed: ClaimedTask) {
        guard let handler = engine.handler(claimed.type, kind: claimed.kind) else {
            // Made by a newer program: another worker may know it.
            logger.error("no handler for a task", metadata: ["task": "\(claimed.taskId)", "type": "\(claimed.type.rawValue)"])
            let failure = TaskFailure(code: "NO_HANDLER", message: "This worker does not know the task's type.", isRetryable: true)
            return end(claimed, as: .failed(failure, outcome: .failed))
        }
        var logger = logger
        logger[metadataKey: "task"] = "\(claimed.taskId)"
        let running: RunningTask
        do {
            running = try RunningTask(claimed, engine: engine, logger: logger, now: engine.surroundings.now())
        } catch {
            let failure = TaskFailure(code: "INVALID_PARAMETERS", message: "Its stored parameters cannot be read.", isRetryable: false)
            return end(claimed, as: .failed(failure, outcome: .failed))
        }
        state.withLock { $0.running[running.key] = running }
        running.begin(
            Task { [self] in
                let end: AttemptEnd?
                do {
                    let results = try await handler.run(running)
                    end = .completed(results: results.isEmpty ? "{}" : try DriveJSON.text(results))
                } catch {
                    end = Self.end(of: running, throwing: error)
                }
                finish(running, as: end)
            })
    }

    /// How an attempt ended that threw; nil where it has no lease any more, so that there is nothing to write.
    private static func end(of running: RunningTask, throwing error: any Error) -> AttemptEnd? {
        switch running.interruption ?? (error as? TaskInterruption) {
        case .paused: .paused
        case .stopped: .released
        case .cancelled, .fenced: nil
        case .stalled:
            .failed(TaskFailure(code: "TASK_STALLED", message: "It showed no progress for too long.", isRetryable: true), outcome: .stalled)
        case nil: .failed(TaskFailure(error), outcome: .failed)
        }
    }

    /// Ends an attempt once, whoever comes first: its handler, or the worker that waited for it in vain. Its slot is free.
    func finish(_ running: RunningTask, as end: AttemptEnd?) {
        guard running.end() else { return }
        state.withLock { state in
            state.running[running.key] = nil
            if let end {
                state.ended.append(EndedAttempt(taskId: running.taskId, fencingToken: running.fencingToken, end: end))
            }
        }
        if end != nil { endSignal.signal() }
        workSignal.signal()
    }

    private func end(_ claimed: ClaimedTask, as end: AttemptEnd) {
        state.withLock { $0.ended.append(EndedAttempt(taskId: claimed.taskId, fencingToken: claimed.fencingToken, end: end)) }
        endSignal.signal()
    }

    // MARK: Ending

    /// Writes ends as they come, many in one transaction. Where the database does not answer they wait, and are tried again.
    private func writeEnds() async {
        while true {
            let batch = state.withLock { state -> [EndedAttempt] in
                let batch = Array(state.ended.prefix(Self.batch * 2))
                state.ended.removeFirst(batch.count)
                state.endsUnderWay = batch.count
                return batch
            }
            if batch.isEmpty {
                if isStopped { return }
                await endSignal.wait()
                continue
            }
            do {
                let lost = try await engine.database.write { [self] sql in try engine.finish(batch, worker: name, in: sql) }
                for taskId in lost {
                    logger.info("an attempt ended that had lost its lease; nothing of it was written", metadata: ["task": "\(taskId)"])
                }
            } catch {
                logger.warning("ended tasks cannot be written now", metadata: ["tasks": "\(batch.count)", "error": "\(error)"])
                if isStopped {
                    return
                } else if !Self.mayPass(error) {
                    // One of them breaks the others' transaction: each alone then.
                    await writeSingly(batch)
                } else {
                    state.withLock { $0.ended.insert(contentsOf: batch, at: 0) }
                    try? await Task.sleep(for: .milliseconds(200))
                }
            }
            state.withLock { $0.endsUnderWay = 0 }
        }
    }

    private func writeSingly(_ batch: [EndedAttempt]) async {
        for attempt in batch {
            do {
                _ = try await engine.database.write { [self] sql in try engine.finish([attempt], worker: name, in: sql) }
            } catch {
                logger.error("an ended task cannot be written", metadata: ["task": "\(attempt.taskId)", "error": "\(error)"])
                if Self.mayPass(error) {
                    state.withLock { $0.ended.append(attempt) }
                } else if !attempt.isUnwritable {
                    // Not the database's trouble but this row's: what it wants to say cannot be stored.
                    var ended = attempt
                    ended.isUnwritable = true
                    ended.end = .failed(
                        TaskFailure(code: "UNWRITABLE_RESULT", message: "Its result cannot be stored.", isRetryable: false),
                        outcome: .failed)
                    let failed = ended
                    state.withLock { $0.ended.append(failed) }
                }
            }
        }
    }

    private static func mayPass(_ error: any Error) -> Bool { (error as? DatabaseError)?.isRetryable ?? false }

    // MARK: Stopping

    /// Lets running tasks run on for a while, then asks them to stop, then gives them back without them.
    private func drain() async {
        let settings = engine.settings
        if await isIdle(within: settings.drainTime) { return }
        for running in state.withLock({ Array($0.running.values) }) { running.interrupt(.stopped) }
        if await isIdle(within: min(settings.interruptionPatience, .seconds(5))) { return }
        for running in state.withLock({ Array($0.running.values) }) { finish(running, as: .released) }
        _ = await isIdle(within: .seconds(5))
    }

    private func isIdle(within limit: Duration) async -> Bool {
        let deadline = ContinuousClock.now + limit
        while true {
            let isIdle = state.withLock { $0.running.isEmpty && !$0.isClaiming && $0.ended.isEmpty && $0.endsUnderWay == 0 }
            if isIdle { return true }
            guard ContinuousClock.now < deadline else { return false }
            // This Swift task is cancelled by now.
            await pause(.milliseconds(10))
        }
    }
}
