import Logging
import Synchronization

/// Sends notifications in transactions of their own, many at once.
///
/// `NOTIFY` within the transaction of the change would make all committing transactions queue up behind one lock of the
/// server, which each holds through its flush. One that is lost with the process only delays a reader until it looks by
/// itself: the tables are the truth.
final class PostgresNotifier: NotificationSink {
    private struct Pending: Hashable {
        var channel: String
        var payload: String
    }

    private struct State {
        var pending: Set<Pending> = []
        var isSending = false
    }

    private let state = Mutex(State())
    private let queue: PostgresWorkQueue
    private let logger: Logger

    init(queue: PostgresWorkQueue, logger: Logger) {
        self.queue = queue
        self.logger = logger
    }

    func post(_ channel: String, _ payload: String) {
        let isFirst = state.withLock { state in
            state.pending.insert(Pending(channel: channel, payload: payload))
            defer { state.isSending = true }
            return !state.isSending
        }
        if isFirst { send() }
    }

    private func send() {
        do {
            try queue.add { [self] worker in
                let batch = state.withLock { state in
                    defer { state.pending = [] }
                    return state.pending
                }
                do {
                    try worker.transaction(.write) { sql in
                        // Nothing is lost with a notification, so nobody waits for its flush.
                        try sql.execute("SET LOCAL synchronous_commit = off")
                        for item in batch { try sql.query("SELECT pg_notify($1, $2)", [.text(item.channel), .text(item.payload)]) }
                    }
                } catch {
                    logger.warning("a notification was not sent; its readers look by themselves", metadata: ["error": "\(error)"])
                }
                let hasMore = state.withLock { state in
                    state.isSending = !state.pending.isEmpty
                    return state.isSending
                }
                if hasMore { send() }
            }
        } catch {
            state.withLock { state in
                state.isSending = false
                state.pending = []
            }
        }
    }
}
