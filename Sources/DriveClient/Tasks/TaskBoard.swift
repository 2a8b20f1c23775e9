import DriveModel

/// What is known of the tasks that somebody follows, and what of it is still to be told. A pure value.
struct TaskBoard: Sendable {
    /// The tasks that are followed; nil: all that are open.
    let ids: Set<String>?
    /// The last state of each task that has not ended.
    private var open: [String: TaskSummary] = [:]
    /// When those changed last whose end was told: what comes late about them is no news.
    private var ended: [String: Timestamp] = [:]
    private var news: ArraySlice<TaskSummary> = []

    init(_ ids: Set<String>?) {
        self.ids = ids
    }

    /// Ids of the tasks whose end is still to come, as far as they are known.
    var followed: Set<String> {
        guard let ids else { return Set(open.keys) }
        return ids.subtracting(ended.keys)
    }

    mutating func next() -> TaskSummary? { news.popFirst() }

    /// A task as the server has it now.
    mutating func look(_ task: TaskSummary) {
        let id = task.taskId
        // One that ended may be open again, by a retry.
        if let end = ended[id], task.updatedAt <= end || ids != nil { return }
        if open[id].map({ !task.looksLike($0) }) ?? true { news.append(task) }
        open[id] = task.status.isTerminal ? nil : task
        ended[id] = task.status.isTerminal ? task.updatedAt : nil
    }

    /// It does not exist any more.
    mutating func forget(_ id: String) {
        open[id] = nil
    }

    /// What an event asks for.
    enum Need: Hashable {
        case nothing
        /// The task as it is now.
        case task(String)
    }

    /// Progress is taken from the event; of all else the task itself says more.
    mutating func hear(_ event: LiveEventMessage.Event) -> Need {
        guard let id = event.taskId, ids?.contains(id) ?? true else { return .nothing }
        guard event.type == "task.progress" else { return ids != nil && ended[id] != nil ? .nothing : .task(id) }
        guard ended[id] == nil else { return .nothing }
        // Another program's packet may be called the same, with any number.
        guard var task = open[id], let progress = event.data["progress"]?.number, (0...100).contains(progress),
            let status = event.data["status"]?.string.flatMap(TaskStatus.init(rawValue:)),
            let time = event.data["lastActivity"]?.string.flatMap({ Timestamp($0) })
        else { return .task(id) }
        // The task was asked for since.
        guard time > task.lastActivity else { return .nothing }
        task.progress = max(task.progress, progress)
        task.status = status
        task.statusMessage = event.data["statusMessage"]?.string ?? task.statusMessage
        task.lastActivity = time
        task.updatedAt = max(task.updatedAt, time)
        look(task)
        return .nothing
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

extension JSONValue {
    fileprivate var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }
}
