import ArgumentParser
import DriveClient
import DriveModel
import Foundation

extension Console {
    /// Tasks in a table, or as one line of JSON; `total` is how many there are in all.
    func answer(tasks: [TaskSummary], total: Int? = nil, showsAccounts: Bool = false) throws {
        if json { return try answer(json: tasks) }
        answer(
            table: tasks.map { task in
                (showsAccounts ? [task.accountId.lowercaseString] : []) + [
                    task.taskId, task.kind.map { "\(task.type.rawValue)/\($0.oneLine)" } ?? task.type.rawValue, task.statusText,
                    "\(Int(task.progress)) %", task.lastActivity.shortText, task.name.oneLine,
                ]
            })
        if let total, total > tasks.count { hint("\(tasks.count) of \(total) tasks.") }
    }

    /// A task after it was made or changed.
    func answer(task: TaskSummary) throws {
        if json { return try answer(json: task) }
        answer("\(task.taskId)  \(task.statusText)  \(task.name.oneLine)")
    }
}

extension TaskSummary {
    /// The status, and what was asked and is not reached yet: `InProgress (pause)`.
    var statusText: String {
        status.rawValue + (requested.map { " (\($0.rawValue))" } ?? "")
    }

    /// What became of the things it worked on; nil where it counts none.
    var itemCounts: String? {
        let names: [(result: String, word: String)] = [
            ("succeeded", "done"), ("movedFiles", "done"), ("planned", "planned"), ("failed", "failed"), ("failedFiles", "failed"),
            ("skipped", "skipped"), ("skippedFiles", "skipped"),
        ]
        let counts = names.compactMap { name -> String? in
            guard let count = results[name.result]?.integer, count > 0 else { return nil }
            return "\(count) \(name.word)"
        }
        guard names.contains(where: { results[$0.result] != nil }) else { return nil }
        return counts.isEmpty ? "nothing fits" : "\(counts.joined(separator: ", ")) (drive tasks items \(taskId))"
    }

    /// What is known about the task, name by name.
    func facts() throws -> [[String]] {
        var rows = [
            ["id", taskId], ["type", kind.map { "\(type.rawValue) (\($0.oneLine))" } ?? type.rawValue], ["name", name.oneLine],
            ["status", statusText], ["progress", "\((progress * 10).rounded(.down) / 10) %"], ["priority", String(priority)],
            ["attempt", "\(attempt) of \(maxAttempts)"], ["account", accountId.lowercaseString],
        ]
        let optional: [(String, String?)] = [
            ("about", description), ("message", statusMessage),
            ("error", errorMessage.map { message in errorCode.map { "\($0): \(message)" } ?? message }),
            ("estimate", estimatedDurationSeconds.map { Quantity.text(.seconds($0)) }), ("not before", runAt?.description),
            ("expires", expiresAt?.description),
            ("waits for", waitsFor > 0 ? "\(waitsFor) tasks" : nil), ("batch", batchId), ("unique key", uniqueKey),
            ("parent", parentTaskId), ("created", createdAt.description), ("started", startedAt?.description),
            ("last activity", lastActivity.description), ("completed", completedAt?.description), ("dead since", deadAt?.description),
            ("parameters", parameters.isEmpty ? nil : try DriveJSON.text(parameters)),
            ("results", results.isEmpty ? nil : try DriveJSON.text(results)),
        ]
        for case (let label, let text?) in optional { rows.append([label, text.oneLine]) }
        return rows
    }
}

extension String {
    /// Safe for a terminal, and without breaks: one row of a table stays one line.
    var oneLine: String {
        String(forTerminal.map { $0.isNewline || $0 == "\t" ? " " : $0 })
    }
}

/// Which part of a list is shown.
struct PageOptions: ParsableArguments {
    @Option(help: "Entries to list at most (DRIVE_LIMIT; default 50).")
    var limit: Int?

    @Option(help: "Entries to leave out at the start (DRIVE_OFFSET).")
    var offset: Int?

    func values(_ settings: Settings) throws -> (offset: Int, limit: Int) {
        (
            try settings.number(offset, "DRIVE_OFFSET") ?? 0,
            try settings.number(limit, "DRIVE_LIMIT", minimum: 1) ?? 50
        )
    }
}

/// Reads options that no variable stands behind.
enum TaskArgument {
    /// Whole days of `30`, `30d`, `4w`.
    static func days(_ text: String, _ option: String) throws -> Int {
        let seconds = text.allSatisfy(\.isNumber) ? Quantity.seconds(text + "d") : Quantity.seconds(text)
        guard let seconds, seconds % 86_400 == 0 else { throw ValidationError("\(option) is \"\(text)\"; it should be days such as 30.") }
        return Int(seconds / 86_400)
    }

    static func uuid(_ text: String, _ option: String) throws -> UUID {
        guard let id = UUID(uuidString: text) else { throw ValidationError("\(option) is \"\(text)\"; it should be a UUID.") }
        return id
    }

    /// A value of the API by its name, in any case.
    static func named<Value: RawRepresentable & CaseIterable>(
        _ text: String, _ option: String
    ) throws -> Value where Value.RawValue == String {
        if let value = Value.allCases.first(where: { $0.rawValue.lowercased() == text.lowercased() }) { return value }
        let names = Value.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("\(option) is \"\(text)\"; it should be one of \(names).")
    }

    static func time(_ text: String, _ option: String) throws -> Timestamp {
        if let seconds = Quantity.seconds(text) { return Surroundings.system.now() + .seconds(seconds) }
        guard let time = Timestamp(text) else {
            throw ValidationError("\(option) is \"\(text)\"; it should be a span such as 30m or a time as in RFC 3339.")
        }
        return time
    }
}

extension ClientContext {
    /// Runs `body` for each id. Of several, one that is refused for itself does not keep the others from it; the first refusal's
    /// exit status is the command's.
    func forEach(_ ids: [String], _ body: (String) async throws -> Void) async throws {
        var firstFailure: ExitCode?
        for id in ids {
            do {
                try await body(id)
            } catch let error as DriveClientError where ids.count > 1 && [404, 409].contains(error.serverReply?.status) {
                let code = console.fail(error)
                firstFailure = firstFailure ?? code
            }
        }
        if let firstFailure { throw firstFailure }
    }
}
