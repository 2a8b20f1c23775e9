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
    /// What falls due within this time shares a transaction.
    static let gathering = Duration.milliseconds(250)
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
            // Not put off by what comes while a clock is behind.
            notes[taskId] = Note(progress: progress, due: min(due, notes[taskId]?.due ?? due), events: events)
            return notes.count == 1
        }
        if isFirst { wake.signal() }
    }

    /// Tells until the Swift task is cancelled, and then at once what is left: clients of other servers wait for it.
    public func run() async {
        while !Task.isCancelled {
            if count == 0 {
                await withTaskCancellationHandler {
                    await wake.wait()
                } onCancel: {
                    wake.signal()
                }
            }
            try? await Task.sleep(for: Self.gathering)
            await tellDue(at: .now)
        }
        await tellDue(at: .now + ProgressThrottle.interval + Self.grace)
    }

    /// Tells what is due. What cannot be written now is due again later.
    package func tellDue(at now: ContinuousClock.Instant) async {
        var due = notes.withLock { notes in
            let due = notes.filter { $0.value.due <= now }
            for taskId in due.keys { notes[taskId] = nil }
            return Array(due)[...]
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
                // A stop does not wait for a database; who connects next has the snapshot.
                if Task.isCancelled { return }
            }
        }
    }

    /// Nothing of a task that has ended or moved on: a newer progress is another note's. Tasks in the database's order, and before any
    /// account's row of numbers, as in other transactions.
    private func tell(_ notes: [(key: String, value: Note)]) async throws {
        let now = surroundings.now()
        let notes = Dictionary(notes.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
        try await database.write { sql in
            let rows = try sql.query(
                """
                SELECT task_id, status, progress, last_activity FROM tasks
                WHERE task_id \(sql.dialect.isAny("$1")) AND status IN (\(Self.open)) AND sent_progress < progress
                ORDER BY task_id\(sql.dialect.forUpdate)
                """, [sql.dialect.list(notes.keys)])
            var told: [String] = []
            var events: [OutboxEvent] = []
            for row in rows {
                let taskId = try row.text("task_id")
                guard let note = notes[taskId], try row.double("progress") == note.progress,
                    let status = TaskStatus(rawValue: try row.text("status"))
                else { continue }
                told.append(taskId)
                events += try note.events(status, try row.timestamp("last_activity"))
            }
            guard !told.isEmpty else { return }
            try sql.execute(
                "UPDATE tasks SET sent_progress = progress, sent_at = $2 WHERE task_id \(sql.dialect.isAny("$1"))",
                [sql.dialect.list(told), .timestamp(now)])
            try EventOutbox.append(events, now: now, in: sql)
        }
    }

    /// Of paused ones too: a listener is to see how far they came.
    private static let open = TaskStatus.open.map { "'\($0.rawValue)'" }.joined(separator: ", ")
}
