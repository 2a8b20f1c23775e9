import ArgumentParser
import DriveClient
import DriveModel

/// `drive watch`.
struct WatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Show what happens in your account as it happens.",
        discussion: """
            One line per event, with the time at which it happened where that is known, until Ctrl-C. A connection that is lost is made again, and goes on where it broke off. \
            With --json each line is a packet as the server's WebSocket sends it: ready, snapshot (the open tasks), then events.

            Examples:
              drive watch
              drive watch --task 3kTz… --types 'task.*'
              drive watch --json | jq -c 'select(.type == "task.failed") | .data'
              drive watch --since 1041        # what came after event 1041, then what comes

            To wait for tasks to end: drive tasks watch.
            \(ExitStatus.help)
            """)

    @Option(help: "Only events of this task; may be repeated, at most 100 times.")
    var task: [String] = []

    @Option(help: "Only those types, with commas between: task.completed,task.failed, or task.*, or another program's (DRIVE_TYPES).")
    var types: String?

    // What begins with a dash is its value, too: refused with the rule, not as an option nobody knows.
    @Option(
        parsing: .unconditional,
        help: "Begin after the event with this number (DRIVE_SINCE; default: with what happens from now on).")
    var since: Int?

    @Option(help: "How long the server may be away, such as 90s or 2h (DRIVE_PATIENCE; default 5m).")
    var patience: String?

    @OptionGroup var options: ClientOptions

    func validate() throws {
        guard task.count <= 100 else { throw ValidationError("--task is given \(task.count) times; at most 100 are possible.") }
        let settings = Settings()
        _ = try (settings.number(since, "DRIVE_SINCE"), policy(settings))
    }

    func run() async throws {
        let command = self
        try await options.run { context in
            let settings = context.settings
            let types = settings.text(command.types, "DRIVE_TYPES")?.split(separator: ",").map(String.init) ?? []
            let since = try settings.number(command.since, "DRIVE_SINCE").map(Int64.init)
            let events = context.client.events(
                since: since, types: types, taskIds: command.task, retrying: try command.policy(settings))
            var report = EventReport(console: context.console, types: types, taskIds: command.task, since: since)
            var isReady = false
            do {
                for try await message in events {
                    var remarks: [String] = []
                    if case .ready = message, !isReady {
                        isReady = true
                        remarks = await context.endedTasks(command.task)
                    }
                    try report.show(message)
                    for remark in remarks { context.console.hint(remark) }
                    if StandardStream.isUnread { return }
                }
            } catch let error as DriveClientError {
                if let reply = error.serverReply, [404, 405].contains(reply.status), reply.code != DriveError.Code.taskNotFound.name {
                    context.console.hint("This server has no live events; drive tasks watch follows tasks there too.")
                }
                throw error
            }
            try Task.checkCancellation()
        }
    }

    private func policy(_ settings: Settings) throws -> RetryPolicy {
        let patience = try settings.value(patience, "DRIVE_PATIENCE", expecting: "a span such as 5m", Quantity.seconds)
        return RetryPolicy(patience: .seconds(patience ?? 300))
    }
}

extension ClientContext {
    /// What a person is told of those tasks that have ended already, so that he does not wait for what was.
    fileprivate func endedTasks(_ ids: [String]) async -> [String] {
        guard console.showsHints else { return [] }
        return await withTaskGroup(of: (index: Int, remark: String?).self) { group in
            var remarks = [String?](repeating: nil, count: ids.count)
            for (index, id) in ids.enumerated() {
                // A person waits for all of them, but the server is not asked for all at once.
                if index >= 8, let told = await group.next() { remarks[told.index] = told.remark }
                group.addTask { (index, await endedTask(id)) }
            }
            for await told in group { remarks[told.index] = told.remark }
            return remarks.compactMap(\.self)
        }
    }

    private func endedTask(_ id: String) async -> String? {
        // Where this fails the stream goes on all the same, or says why not.
        guard let task = try? await client.task(id), task.status.isTerminal else { return nil }
        return "Task \(id) has ended already (\(task.status.rawValue))."
    }
}
