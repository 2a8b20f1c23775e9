import DriveModel

/// Follows tasks for one reader: hears of changes, or looks now and then, and asks for the tasks themselves.
actor TaskFollower {
    /// Where the news come from.
    enum Source {
        /// Events, where the server has them; nothing was asked yet.
        case unconnected(orLooksEvery: Duration)
        case events(LiveEvents.AsyncIterator, of: Set<String>?, orLooksEvery: Duration)
        case looks(every: Duration)
    }

    private let client: DriveClient
    private var board: TaskBoard
    private var source: Source
    private let scope: AccountScope
    private let policy: RetryPolicy
    private let onLooks: @Sendable () -> Void
    private let onOutage: @Sendable (LiveOutage.News) -> Void
    private var hasLooked = false

    init(
        client: DriveClient, board: TaskBoard, source: sending Source, scope: AccountScope = .own, policy: RetryPolicy,
        onLooks: @escaping @Sendable () -> Void = {}, onOutage: @escaping @Sendable (LiveOutage.News) -> Void = { _ in }
    ) {
        self.client = client
        self.board = board
        self.source = source
        self.scope = scope
        self.policy = policy
        self.onLooks = onLooks
        self.onOutage = onOutage
    }

    /// The next change; nil where all have ended, or where the task that reads was cancelled.
    func next() async throws(DriveClientError) -> TaskSummary? {
        while true {
            if let news = board.next() { return news }
            if hasLooked, board.followed.isEmpty {
                // Events say what was; one that was made since is known to a look alone.
                guard board.ids == nil, case .events = source else { return nil }
                try await look(policy)
                if let news = board.next() { return news }
                if board.followed.isEmpty { return nil }
            }
            switch source {
            case .unconnected(let interval):
                connect(orLooksEvery: interval)
            case .looks(let interval):
                if hasLooked {
                    do { try await client.surroundings.sleep(interval) } catch { throw .cancelled }
                }
                try await look(policy)
            case .events(let iterator, let asked, let interval):
                guard try await hear(iterator, asked, interval) else { return nil }
            }
        }
    }

    /// The server takes so many ids at once; of more, all events are asked for.
    private static let maximumIds = 100

    private func connect(orLooksEvery interval: Duration) {
        let ids = board.ids == nil || board.followed.count > Self.maximumIds ? nil : board.followed
        var events = client.events(types: ["task.*"], taskIds: ids?.sorted() ?? [], retrying: policy)
        events.onOutage = onOutage
        source = .events(events.makeAsyncIterator(), of: ids, orLooksEvery: interval)
    }

    /// Takes one message of the stream. False where it is over.
    private func hear(
        _ iterator: LiveEvents.AsyncIterator, _ asked: Set<String>?, _ interval: Duration
    ) async throws(DriveClientError) -> Bool {
        var iterator = iterator
        do throws(DriveClientError) {
            guard let sign = try await iterator.nextSign(isolation: self) else { return false }
            source = .events(iterator, of: asked, orLooksEvery: interval)
            switch sign {
            case .message(let message): try await take(message)
            // Not every change is an event: that a task runs now, that a pause is asked for.
            case .keepAlive: try await lookIfPossible()
            }
            return true
        } catch {
            switch error.serverReply {
            // One that had ended was deleted; the others go on.
            case let reply? where reply.status == 404 && reply.isOfTask && asked != nil && asked != board.followed:
                connect(orLooksEvery: interval)
            case let reply? where [404, 405].contains(reply.status) && !reply.isOfTask:
                onLooks()
                source = .looks(every: interval)
            default: throw error
            }
            return true
        }
    }

    private func take(_ message: LiveEventMessage) async throws(DriveClientError) {
        switch message {
        // What the lists hold is more than the snapshot has room for.
        case .ready: try await look(policy)
        case .snapshot: break
        case .event(let event):
            if case .task(let id) = board.hear(event) { try await look(at: id, policy) }
        // Where only events are missing, the tasks can be asked for all the same.
        case .interrupted: try await lookIfPossible()
        }
    }

    // MARK: Looking

    /// Looks once; a failure that may pass is passed over.
    private func lookIfPossible() async throws(DriveClientError) {
        do throws(DriveClientError) { try await look(RetryPolicy(patience: .zero)) } catch {
            guard error.isRetryable, error != .cancelled else { throw error }
        }
    }

    private func look(_ policy: RetryPolicy) async throws(DriveClientError) {
        if board.ids != nil {
            for id in board.followed.sorted() { try await look(at: id, policy) }
        } else {
            var found: [String: TaskSummary] = [:]
            for status in TaskStatus.open {
                for task in try await allTasks(status, policy) { found[task.taskId] = task }
            }
            for task in found.values.sorted(by: { ($0.createdAt, $0.taskId) < ($1.createdAt, $1.taskId) }) { board.look(task) }
            // Ended, or on its way from one list to the next.
            for id in board.followed.subtracting(found.keys).sorted() { try await look(at: id, policy) }
        }
        hasLooked = true
    }

    private func look(at id: String, _ policy: RetryPolicy) async throws(DriveClientError) {
        do throws(DriveClientError) {
            board.look(try await client.task(id, of: scope, retrying: policy))
        } catch {
            // Its owner deleted it since; where it was asked for by its id, that is worth an error.
            guard error.serverReply?.status == 404, board.ids == nil else { throw error }
            board.forget(id)
        }
    }

    private func allTasks(_ status: TaskStatus, _ policy: RetryPolicy) async throws(DriveClientError) -> [TaskSummary] {
        var tasks: [TaskSummary] = []
        let filter = TaskFilter(status: status, sortBy: "createdAt", sortDescending: false)
        while true {
            let page = try await client.tasks(filter, offset: tasks.count, limit: 500, retrying: policy)
            tasks += page.elements
            guard let total = page.total, tasks.count < total, !page.elements.isEmpty else { return tasks }
        }
    }
}

extension ErrorReply {
    /// Whether it says that there is no such task, as against no such route.
    fileprivate var isOfTask: Bool { code == DriveError.Code.taskNotFound.name }
}
