import ArgumentParser
import DriveClient
import DriveModel

/// Whether and how a new task is followed.
struct WatchOptions: ParsableArguments {
    @Flag(help: "Follow it to its end.")
    var watch = false

    @Option(help: "Look so often, such as 5s, and do not follow the server's events (DRIVE_EVERY).")
    var every: String?

    /// nil: the changes are heard of as they happen.
    func interval() throws -> Duration? {
        let seconds = try Settings().value(every, "DRIVE_EVERY", expecting: "a span such as 5s") { text in
            Quantity.seconds(text).flatMap { $0 > 0 ? $0 : nil }
        }
        return seconds.map { .seconds($0) }
    }

    func validate() throws {
        _ = try interval()
    }
}

/// `drive tasks watch`.
struct TasksWatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Follow tasks until they have ended: one line per change.",
        discussion: """
            Without ids: all tasks that are open, and those that are made meanwhile. With --json each line is the whole task. \
            A restart of the server is waited out. The server tells of changes as they happen; an older one that cannot is \
            asked once a second. drive watch shows the events themselves.

            Examples:
              drive tasks watch
              drive tasks watch 3kTz… && echo done
              drive tasks watch --json | jq -r 'select(.status == "Failed") | .errorMessage'

            Exit status 1 where one Failed, was Cancelled or Expired.
            \(ExitStatus.help)
            """)

    @Argument(help: "The tasks' ids.")
    var ids: [String] = []

    @Option(help: "Look so often, such as 5s, and do not follow the server's events (DRIVE_EVERY).")
    var every: String?

    @OptionGroup var options: ClientOptions

    func validate() throws {
        _ = try interval()
    }

    private func interval() throws -> Duration? {
        var watch = WatchOptions()
        watch.every = every
        return try watch.interval()
    }

    func run() async throws {
        let command = self
        try await options.run { context in
            try await context.follow(command.ids.isEmpty ? nil : command.ids, every: try command.interval())
        }
    }
}

extension ClientContext {
    /// Follows tasks until all have ended: those of the ids, or all that are open.
    /// - Parameter interval: nil: by the server's events, where it has them.
    /// - Throws: exit status 1 where one of them did not complete.
    func follow(_ ids: [String]?, every interval: Duration?) async throws {
        var board = WatchBoard(console: console)
        for try await task in states(of: ids.map { Set($0) }, every: interval) {
            try board.show(task)
            if StandardStream.isUnread { return }
        }
        try Task.checkCancellation()
        if ids == nil, board.isEmpty { console.hint("No task is open.") }
        try board.end()
    }

    private func states(of ids: Set<String>?, every interval: Duration?) -> AsyncThrowingStream<TaskSummary, any Error> {
        switch (ids, interval) {
        case (let ids?, let interval?): return client.watchTasks(ids, every: interval)
        case (nil, let interval?): return client.watchOpenTasks(every: interval)
        case (_, nil):
            let console = console
            return client.followTasks(
                ids, onLooks: { console.hint("This server has no live events; it is asked once a second.") },
                onOutage: { news in
                    switch news {
                    case .lost(let error): console.hint(tryingAgainAfter: error)
                    case .back: console.hint("Connected again.")
                    }
                })
        }
    }
}

/// Prints the news of watched tasks, and remembers how they ended.
struct WatchBoard {
    private let console: Console
    private let time: LocalTime
    /// The last line of each task that has not ended.
    private var lines: [String: String] = [:]
    private var failures = 0
    private(set) var isEmpty = true

    init(console: Console, time: LocalTime = LocalTime()) {
        self.console = console
        self.time = time
    }

    mutating func show(_ task: TaskSummary) throws {
        isEmpty = false
        if task.status.isTerminal, task.status != .completed { failures += 1 }
        if console.json { return try console.answer(json: task) }
        let line = Self.line(task)
        // Not every change shows in a line.
        if lines.updateValue(line, forKey: task.taskId) != line {
            console.answer("\(time.text(time.now()))  \(line)")
        }
        if task.status.isTerminal { lines[task.taskId] = nil }
    }

    static func line(_ task: TaskSummary) -> String {
        var words = [task.taskId, task.statusText, "\(Int(task.progress)) %", task.name.oneLine]
        if let error = task.errorMessage, task.status.isTerminal || task.status == .pending {
            words.append((task.errorCode.map { "\($0): \(error)" } ?? error).oneLine)
        } else if let message = task.statusMessage, !task.status.isTerminal {
            words.append(message.oneLine)
        }
        if task.status == .completed, let counts = task.itemCounts { words.append(counts) }
        return words.joined(separator: "  ")
    }

    /// - Throws: exit status 1 where a task did not complete.
    func end() throws {
        if failures > 0 { throw ExitStatus.failure.code }
    }
}
