import DriveDatabase
import DriveEvents
import DriveModel
import Logging
import Synchronization

/// Progress that the throttle held back, and after which nothing newer came: it is told once its second has passed.
///
/// Whoever drives a task by calls (chunks, a worker over HTTP) asks the throttle with each call, and a small step before a long
/// silence would wait for the next one. Kept in memory alone: after a crash a client's snapshot tells how far a task is.
public final class HeldProgress: Sendable {
    /// The events of one progress, given the task's status and when it was last active.
    public typealias Events = @Sendable (_ status: TaskStatus, _ lastActivity: Timestamp) throws -> [OutboxEvent]

    private struct Note {
        var progress: Double
        var due: ContinuousClock.Instant
        var events: Events
    }

    /// A call that comes right after the second carries the progress in a transaction of its own.
    static let grace = Duration.milliseconds(250)
    static let interval = Duration.milliseconds(250)
    /// Tasks in one transaction.
    private static let portion = 100

    private let database: any Database
    private let surroundings: Surroundings
    private let logger: Logger
    private let notes = Mutex<[String: Note]>([:])
    private let wake = WakeSignal()

    init(database: any Database, surroundings: Surroundings, logger: Logger) {
        self.database = database
        self.surroundings = surroundings
        self.logger = logger
    }

    /// Tasks whose progress is held now.
    public var count: Int { notes.withLock { $0.count } }

    /// Takes what a committed change decided about a task's progress.
    ///
    /// - Parameters:
    ///   - throttle: as the change left it.
    ///   - now: the change's time of day; `instant` is the same by a clock that nobody sets.
    public func note(
        _ progress: Double, of taskId: String, throttle: ProgressThrottle, now: Timestamp, at instant: ContinuousClock.Instant = .now,
        events: @escaping Events
    ) {
        // Not sent long ago where a clock was set back.
        let wait = min(max(.zero, ProgressThrottle.interval - (now - throttle.sentAt)), ProgressThrottle.interval)
        let due = instant + wait + Self.grace
        let isFirst = notes.withLock { notes in
            // Changes are committed in one order and come here in any.
            if let note = notes[taskId], note.progress > max(progress, throttle.sentProgress) { return false }
            guard throttle.holds(progress) else {
                notes[taskId] = nil
                return false
            }
            notes[taskId] = Note(progress: progress, due: due, events: events)
            return notes.count == 1
        }
        if isFirst { wake.signal() }
    }

    /// Tells until the Swift task is cancelled.
    public func run() async {
        while !Task.isCancelled {
            if count == 0 {
                await withTaskCancellationHandler {
                    await wake.wait()
                } onCancel: {
                    wake.signal()
                }
            }
            try? await Task.sleep(for: Self.interval)
            await tellDue(at: .now)
        }
    }

    /// Tells what is due. What cannot be written now is due again later.
    package func tellDue(at now: ContinuousClock.Instant) async {
        var due = notes.withLock { notes in
            let due = notes.filter { $0.value.due <= now }
            for taskId in due.keys { notes[taskId] = nil }
            return due.sorted { $0.key < $1.key }[...]
        }
        while !due.isEmpty {
            let portion = Array(due.prefix(Self.portion))
            due = due.dropFirst(Self.portion)
            do {
                try await tell(portion)
            } catch {
                logger.debug("progress cannot be told now", metadata: ["tasks": "\(portion.count)", "error": "\(error)"])
                notes.withLock { notes in
                    for (taskId, note) in portion where notes[taskId].map({ $0.progress < note.progress }) ?? true {
                        notes[taskId] = note
                        notes[taskId]?.due = now + ProgressThrottle.interval
                    }
                }
            }
            // Nobody waits for it any more; who connects next has the snapshot.
            if Task.isCancelled { return }
        }
    }

    /// Nothing of a task that has ended or moved on: a newer progress is another note's. Tasks in one order, and before any account's
    /// row of numbers, as in other transactions.
    private func tell(_ notes: [(key: String, value: Note)]) async throws {
        let now = surroundings.now()
        try await database.write { sql in
            var events: [OutboxEvent] = []
            for (taskId, note) in notes {
                let row = try sql.first(
                    """
                    UPDATE tasks SET sent_progress = $2, sent_at = $3 WHERE task_id = $1 AND status IN (\(Self.open)) AND progress = $2
                        AND sent_progress < $2 RETURNING status, last_activity
                    """, [.text(taskId), .double(note.progress), .timestamp(now)])
                guard let row, let status = TaskStatus(rawValue: try row.text("status")) else { continue }
                events += try note.events(status, try row.timestamp("last_activity"))
            }
            try EventOutbox.append(events, now: now, in: sql)
        }
    }

    /// Of paused ones too: a listener is to see how far they came.
    private static let open = TaskStatus.open.map { "'\($0.rawValue)'" }.joined(separator: ", ")
}
