import DriveModel

/// What the server's live events tell of an upload that somebody else changed.
struct UploadNews: Hashable, Sendable {
    /// nil: it is not among the open tasks, which says nothing of how it ended.
    var status: TaskStatus?
    /// What comes after this number is news again.
    var sequence: Int64
}

/// Hears from the server's live events what others do to an upload.
struct UploadListener: Sendable {
    let client: DriveClient
    let taskId: String

    private static let types: [String: TaskStatus] = [
        "task.paused": .paused, "task.cancelled": .cancelled, "task.expired": .expired,
    ]

    /// The next news; nil where the server has no events for this caller, or where the task that listens was cancelled.
    /// - Parameter sequence: nil also tells what happened before the stream began.
    func next(after sequence: Int64?) async -> UploadNews? {
        // A connection that is lost comes back in time for a long upload: it is tried for as long as that takes.
        let events = client.events(since: sequence, types: Self.types.keys.sorted(), taskIds: [taskId], retrying: .endless)
        do throws(DriveClientError) {
            for try await message in events {
                if let news = news(in: message) { return news }
            }
        } catch {
            // The next request tells as much, later.
        }
        return nil
    }

    private func news(in message: LiveEventMessage) -> UploadNews? {
        switch message {
        case .event(let event):
            guard event.taskId == taskId, let status = Self.types[event.type] else { return nil }
            return UploadNews(status: status, sequence: event.sequence)
        case .snapshot(let snapshot):
            guard let task = snapshot.tasks.first(where: { $0.taskId == taskId }) else {
                return snapshot.isComplete ? UploadNews(status: nil, sequence: snapshot.sequence) : nil
            }
            return task.status == .paused ? UploadNews(status: .paused, sequence: snapshot.sequence) : nil
        case .ready, .interrupted: return nil
        }
    }
}
