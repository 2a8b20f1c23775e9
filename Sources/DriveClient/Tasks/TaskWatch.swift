import DriveModel

extension DriveClient {
    /// A task's states, from the one it has now to the one it ends with; those between two looks are not seen.
    ///
    /// Asks only while somebody waits for the next element, so a reader that is slow or gone costs nothing. Failures that may
    /// pass, a restart of the server say, are waited out. `followTasks` hears of changes at once, of the caller's own tasks.
    /// - Parameters:
    ///   - interval: between two looks.
    ///   - policy: how long failures are waited out; after that, and after others, the stream throws a `DriveClientError`.
    public func watchTask(
        _ id: String, every interval: Duration = .seconds(1), of scope: AccountScope = .own, retrying policy: RetryPolicy = RetryPolicy()
    ) -> AsyncThrowingStream<TaskSummary, any Error> {
        watchTasks([id], every: interval, of: scope, retrying: policy)
    }

    /// The states of several tasks, each to its last one. Otherwise as `watchTask`.
    public func watchTasks(
        _ ids: Set<String>, every interval: Duration = .seconds(1), of scope: AccountScope = .own,
        retrying policy: RetryPolicy = RetryPolicy()
    ) -> AsyncThrowingStream<TaskSummary, any Error> {
        stream(TaskFollower(client: self, board: TaskBoard(ids), source: .looks(every: interval), scope: scope, policy: policy))
    }

    /// The states of all open tasks of the caller, also of those that are made meanwhile; each ends with its last one.
    /// The stream ends when no task is open. Otherwise as `watchTask`.
    public func watchOpenTasks(
        every interval: Duration = .seconds(1), retrying policy: RetryPolicy = RetryPolicy()
    ) -> AsyncThrowingStream<TaskSummary, any Error> {
        stream(TaskFollower(client: self, board: TaskBoard(nil), source: .looks(every: interval), policy: policy))
    }

    /// The same by the server's live events: of these tasks of the caller, or of all that are open and those that are made
    /// meanwhile, each from the state it has now to its last one. The stream ends when all have ended.
    ///
    /// After every interruption the tasks are asked for, so that no end is missed.
    /// - Parameters:
    ///   - ids: nil: all open ones.
    ///   - interval: between two looks, at a server without live events: an older one.
    ///   - onLooks: told once, where the server has no live events.
    ///   - onOutage: told once when the connection of the events is lost, and once when it is back. It must not block.
    public func followTasks(
        _ ids: Set<String>? = nil, orEvery interval: Duration = .seconds(1), retrying policy: RetryPolicy = RetryPolicy(),
        onLooks: @escaping @Sendable () -> Void = {}, onOutage: @escaping @Sendable (LiveOutage.News) -> Void = { _ in }
    ) -> AsyncThrowingStream<TaskSummary, any Error> {
        stream(
            TaskFollower(
                client: self, board: TaskBoard(ids), source: .unconnected(orLooksEvery: interval), policy: policy, onLooks: onLooks,
                onOutage: onOutage))
    }

    /// Waits for a task of the caller to end. Returns it as it ended, well or not.
    /// - Throws: `.server` with 404 where there is no such task; as `followTasks`; `.cancelled`.
    public func awaitTask(_ id: String, retrying policy: RetryPolicy = .endless) async throws(DriveClientError) -> TaskSummary {
        do {
            for try await task in followTasks([id], retrying: policy) where task.status.isTerminal { return task }
        } catch {
            throw DriveClientError(error)
        }
        throw .cancelled
    }

    private func stream(_ follower: TaskFollower) -> AsyncThrowingStream<TaskSummary, any Error> {
        AsyncThrowingStream { try await follower.next() }
    }
}
