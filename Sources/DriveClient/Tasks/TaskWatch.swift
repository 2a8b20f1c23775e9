import DriveModel

extension DriveClient {
    /// A task's states, from the one it has now to the one it ends with; those between two looks are not seen.
    ///
    /// Asks only while somebody waits for the next element, so a reader that is slow or gone costs nothing. Failures that may
    /// pass, a restart of the server say, are waited out.
    /// - Parameters:
    ///   - interval: between two looks.
    ///   - policy: how long failures are waited out; after that, and after others, the stream throws a `DriveClientError`.
    public func watchTask(
        _ id: String, every interval: Duration = .seconds(1), of scope: AccountScope = .own, retrying policy: RetryPolicy = RetryPolicy()
    ) -> AsyncThrowingStream<TaskSummary, any Error> {
        let watch = TaskWatch()
        return AsyncThrowingStream {
            while await !watch.isOver {
                if await watch.hasLooked { try await self.wait(interval) }
                let task = try await self.task(id, of: scope, retrying: policy)
                if await watch.isNews(task) { return task }
            }
            return nil
        }
    }

    /// The states of all open tasks of the caller, also of those that are made meanwhile; each ends with its last one.
    /// The stream ends when no task is open. Otherwise as `watchTask`.
    public func watchOpenTasks(
        every interval: Duration = .seconds(1), retrying policy: RetryPolicy = RetryPolicy()
    ) -> AsyncThrowingStream<TaskSummary, any Error> {
        let watch = OpenTasksWatch()
        return AsyncThrowingStream {
            while true {
                if let news = await watch.next() { return news }
                if await watch.hasLooked {
                    if await watch.followed.isEmpty { return nil }
                    try await self.wait(interval)
                }
                var found: [String: TaskSummary] = [:]
                for status in TaskStatus.open {
                    for task in try await self.allTasks(status, policy) { found[task.taskId] = task }
                }
                // Ended, or on its way from one list to the next.
                for id in await watch.followed.subtracting(found.keys) {
                    do throws(DriveClientError) {
                        found[id] = try await self.task(id, retrying: policy)
                    } catch {
                        // Its owner deleted it since.
                        guard error.serverReply?.status == 404 else { throw error }
                    }
                }
                await watch.look(found.values.sorted { ($0.createdAt, $0.taskId) < ($1.createdAt, $1.taskId) })
            }
        }
    }

    private func wait(_ interval: Duration) async throws(DriveClientError) {
        do { try await surroundings.sleep(interval) } catch { throw .cancelled }
    }

    private func allTasks(_ status: TaskStatus, _ policy: RetryPolicy) async throws(DriveClientError) -> [TaskSummary] {
        var tasks: [TaskSummary] = []
        let filter = TaskFilter(status: status, sortBy: "createdAt", sortDescending: false)
        while true {
            let page = try await self.tasks(filter, offset: tasks.count, limit: 500, retrying: policy)
            tasks += page.elements
            guard let total = page.total, tasks.count < total, !page.elements.isEmpty else { return tasks }
        }
    }
}

/// What was seen of one task.
private actor TaskWatch {
    private var last: TaskSummary?
    var hasLooked: Bool { last != nil }
    var isOver: Bool { last?.status.isTerminal == true }

    func isNews(_ task: TaskSummary) -> Bool {
        defer { last = task }
        return last.map { !task.looksLike($0) } ?? true
    }
}

/// What was seen of the open tasks, and what of it is still to be told.
private actor OpenTasksWatch {
    private var last: [String: TaskSummary] = [:]
    private var news: ArraySlice<TaskSummary> = []
    private(set) var hasLooked = false
    /// Ids of the tasks that were open at the last look.
    var followed: Set<String> { Set(last.keys) }

    func next() -> TaskSummary? { news.popFirst() }

    func look(_ tasks: [TaskSummary]) {
        hasLooked = true
        news += tasks.filter { task in last[task.taskId].map { !task.looksLike($0) } ?? true }
        last = [:]
        for task in tasks where !task.status.isTerminal { last[task.taskId] = task }
    }
}

extension TaskSummary {
    /// Whether nothing changed but signs of life.
    func looksLike(_ other: TaskSummary) -> Bool {
        var task = self
        task.lastActivity = other.lastActivity
        task.updatedAt = other.updatedAt
        return task == other
    }
}
