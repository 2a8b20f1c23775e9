import DriveDatabase
import DriveEvents
import DriveModel
import Foundation
import Logging
import Synchronization

extension TaskWorker {
    /// Shows a sign of life while the process runs.
    func beatForEver() async {
        var unknown: Set<Lease> = []
        while !isStopped {
            do {
                try await Task.sleep(for: engine.settings.heartbeat)
            } catch {
                if isStopped { return }
                // The worker drains: its tasks are still its own.
                await pause(min(.seconds(1), engine.settings.heartbeat))
                if isStopped { return }
            }
            do {
                let isKnown = try await engine.database.write { [self] sql in try engine.beat(id, in: sql) }
                state.withLock { $0.lastBeat = .now }
                unknown = try await giveBackUnknown(seenBefore: unknown)
                guard !isKnown else { continue }
                // Taken for dead: this process stood still for too long. Its tasks are others' by now.
                logger.error("this worker was taken for lost; its tasks went to others, and it begins anew")
                for task in state.withLock({ Array($0.running.values) }) { task.interrupt(.fenced) }
                try await engine.database.write { [self] sql in try engine.enlist(id, name: name, isLease: false, in: sql) }
                workSignal.signal()
            } catch {
                logger.warning("no sign of life can be given now", metadata: ["error": "\(error)"])
            }
        }
    }

    /// A lease this worker holds in the database.
    struct Lease: Hashable {
        var taskId: String
        var token: Int64
    }

    /// Gives back what this worker holds without knowing: the reply to its claim was lost. Known as such when seen twice.
    private func giveBackUnknown(seenBefore: Set<Lease>) async throws -> Set<Lease> {
        let held = try await engine.database.read { [id] sql in
            try sql.query("SELECT task_id, fencing_token FROM tasks WHERE lease_owner = $1 AND status = 'InProgress'", [.text(id)])
                .map { Lease(taskId: try $0.text("task_id"), token: try $0.int64("fencing_token")) }
        }
        let known = state.withLock { state in
            Set(state.running.values.map { Lease(taskId: $0.taskId, token: $0.fencingToken) })
                .union(state.ended.map { Lease(taskId: $0.taskId, token: $0.fencingToken) })
        }
        let unknown = Set(held).subtracting(known)
        let lost = unknown.intersection(seenBefore)
        guard !lost.isEmpty else { return unknown }
        logger.warning("tasks were taken here without a reply; they are given back", metadata: ["tasks": "\(lost.count)"])
        state.withLock { $0.ended += lost.map { EndedAttempt(taskId: $0.taskId, fencingToken: $0.token, end: .released) } }
        endSignal.signal()
        return unknown.subtracting(lost)
    }

    /// Watches the others' signs of life, and does once a second what is nobody's work. Every worker does; the rows' locks
    /// decide who takes a lost one's tasks.
    func rescueOthers() async {
        var watch = LeaseWatch(patience: engine.settings.leasePatience)
        var progress = LeaseWatch(patience: TaskPolicy().stallAfter)
        while !isStopping {
            do {
                var counters = try await engine.heartbeats()
                counters[id] = nil
                if ContinuousClock.now - state.withLock({ $0.lastBeat }) > engine.settings.heartbeat * 2 {
                    // Nobody can write now, this worker neither: standing still says nothing of the others.
                    watch = LeaseWatch(patience: engine.settings.leasePatience)
                }
                for worker in watch.observe(counters, now: .now) {
                    guard let heartbeat = counters[worker] else { continue }
                    let count = try await engine.rescue(worker, heartbeat: heartbeat)
                    logger.warning("a worker is lost; its tasks run again", metadata: ["worker": "\(worker)", "tasks": "\(count)"])
                }
                _ = try await engine.expireDue()
                _ = try await engine.settleRest()
                let activity = try await engine.leaseActivity()
                for lease in progress.observe(activity, now: .now) {
                    guard let last = activity[lease] else { continue }
                    try await engine.endStalledLease(lease, activity: last)
                    logger.error("a leased task shows no progress and is given to another worker")
                }
            } catch {
                logger.warning("other workers cannot be watched now", metadata: ["error": "\(error)"])
            }
            try? await Task.sleep(for: min(.seconds(1), engine.settings.leasePatience / 4))
        }
    }

    /// Leaves no trace of this worker where it holds nothing any more.
    func farewell() async {
        do {
            // Not the cancelled task's.
            try await Task { [self] in
                try await engine.database.write { [self] sql in
                    let held = try sql.first(
                        "SELECT 1 AS held FROM tasks WHERE lease_owner = $1 AND status = 'InProgress' LIMIT 1", [.text(id)])
                    if held == nil { try engine.dismiss(id, in: sql) }
                }
            }.value
        } catch {
            logger.warning("this worker stays on record until it is taken for lost", metadata: ["error": "\(error)"])
        }
    }

    /// Sleeps also where the Swift task is cancelled.
    func pause(_ duration: Duration) async {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(Int(duration.inSeconds * 1000))) { continuation.resume() }
        }
    }
}
