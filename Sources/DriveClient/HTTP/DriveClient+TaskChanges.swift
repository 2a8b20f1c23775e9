import DriveModel
import NIOHTTP1

extension DriveClient {
    /// Pauses a task. A running one goes on to its next safe step: until then it is `InProgress` and `requested` says `pause`.
    /// - Throws: `.server` with `TASK_STATE` (409) where its status does not allow that.
    public func pauseTask(
        _ id: String, of scope: AccountScope = .own, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> TaskSummary {
        try await change(id, "pause", scope, policy) { $0.status == .paused || $0.requested == .pause }
    }

    /// Lets a paused task go on. Throws as `pauseTask` does.
    public func resumeTask(
        _ id: String, of scope: AccountScope = .own, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> TaskSummary {
        try await change(id, "resume", scope, policy) { $0.requested == nil && ($0.status == .pending || $0.status == .inProgress) }
    }

    /// Ends a task that has not ended. Throws as `pauseTask` does.
    public func cancelTask(
        _ id: String, of scope: AccountScope = .own, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> TaskSummary {
        try await change(id, "cancel", scope, policy) { $0.status == .cancelled }
    }

    /// Queues a failed or cancelled task again, with all its attempts. Throws as `pauseTask` does.
    public func retryTask(
        _ id: String, of scope: AccountScope = .own, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> TaskSummary {
        try await change(id, "retry", scope, policy) { !$0.status.isTerminal }
    }

    private func change(
        _ id: String, _ verb: String, _ scope: AccountScope, _ policy: RetryPolicy, hasHappened: @Sendable (TaskSummary) -> Bool
    ) async throws(DriveClientError) -> TaskSummary {
        var attempts = 0
        return try await retrying(policy) { () async throws(DriveClientError) in
            attempts += 1
            do throws(DriveClientError) {
                return try await self.send(HTTPCall(.POST, scope.tasks + [id, verb])).decode()
            } catch {
                // After a lost reply, the refusal may say that the earlier attempt did it.
                guard attempts > 1, error.serverReply?.code == DriveError.Code.taskState.name else { throw error }
                let task: TaskSummary = try await self.send(HTTPCall(.GET, scope.tasks + [id])).decode()
                guard hasHappened(task) else { throw error }
                return task
            }
        }
    }

    /// Sets how urgent a task is: 0 to 100, higher first.
    public func setTaskPriority(
        _ id: String, to priority: Int, of scope: AccountScope = .own, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> TaskSummary {
        let call = try HTTPCall(.PUT, scope.tasks + [id, "priority"]).json(["priority": priority])
        return try await send(call, retrying: policy).decode()
    }

    /// Removes an ended task from the lists.
    public func deleteTask(
        _ id: String, of scope: AccountScope = .own, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) {
        try await delete(scope.tasks + [id], retrying: policy)
    }

    /// Deletes what a path names; gone after a lost reply counts as done.
    func delete(_ path: [String], retrying policy: RetryPolicy) async throws(DriveClientError) {
        var attempts = 0
        _ = try await retrying(policy) { () async throws(DriveClientError) in
            attempts += 1
            do throws(DriveClientError) {
                _ = try await self.send(HTTPCall(.DELETE, path))
            } catch {
                guard attempts > 1, error.serverReply?.status == 404 else { throw error }
            }
        }
    }

    /// Removes ended tasks that are older than so many days; nil: the server's own number. Returns how many.
    ///
    /// After a lost reply the number is that of the last attempt.
    public func cleanUpTasks(olderThanDays days: Int? = nil, retrying policy: RetryPolicy = .brief) async throws(DriveClientError) -> Int {
        struct Reply: Decodable { var removed: Int }
        let call = HTTPCall(.DELETE, Self.tasks + ["cleanup"], query: [("olderThanDays", days.map { String($0) })])
        return try await send(call, retrying: policy).decode(Reply.self).removed
    }

    /// Tasks that failed for good and can be redriven.
    public func deadTasks(
        offset: Int = 0, limit: Int = 50, of scope: AccountScope = .own, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> Page<TaskSummary> {
        try await page(HTTPCall(.GET, scope.tasks + ["dead"], query: [("offset", String(offset)), ("limit", String(limit))]), policy)
    }

    /// Queues dead letters again: these, or all (nil). Returns the ids of those it did.
    ///
    /// After a lost reply those of the last attempt; the earlier one's are queued then and dead no more.
    public func redriveTasks(
        _ ids: [String]? = nil, of scope: AccountScope = .own, retrying policy: RetryPolicy = .brief
    ) async throws(DriveClientError) -> [String] {
        struct Request: Encodable { var taskIds: [String]? }
        struct Reply: Decodable { var redriven: [String] }
        let call = try HTTPCall(.POST, scope.tasks + ["dead", "redrive"]).json(Request(taskIds: ids))
        return try await send(call, retrying: policy).decode(Reply.self).redriven
    }
}
