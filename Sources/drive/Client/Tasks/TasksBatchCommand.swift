import ArgumentParser
import DriveClient
import DriveModel
import Foundation

/// `drive tasks batch`.
struct TasksBatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "batch", abstract: "Groups of tasks with joint progress.",
        subcommands: [Create.self, Show.self, List.self, Cancel.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make up to 1,000 tasks at once, all or none.",
            discussion: """
                The JSON is {"name": "…", "tasks": […]}, or a list of tasks alone with --name. A task may wait for earlier ones \
                of the list: "dependsOn": ["#0"].

                Examples:
                  drive tasks batch create nightly.json
                  jq -n '[{type: "Custom", kind: "word-count", parameters: {text: "a b"}}]' | drive tasks batch create - --name words

                \(ExitStatus.help)
                """)

        @Argument(help: "The file with the JSON; - is standard input.", completion: .file())
        var file: String

        @Option(help: "The batch's name, in place of the file's (DRIVE_NAME).")
        var name: String?

        @OptionGroup var options: ClientOptions

        func run() async throws {
            let command = self
            try await options.run { context in
                let content: Content = try await JSONInput.read(command.file, "a batch of tasks, or a list of them") {
                    try DriveJSON.decoder().decode($0, from: $1)
                }
                guard let name = context.settings.text(command.name, "DRIVE_NAME") ?? content.name else {
                    throw ValidationError("The batch has no name: give one with --name.")
                }
                let batch = try await context.client.createTaskBatch(CreateBatchRequest(name: name, tasks: content.tasks))
                if context.console.json { return try context.console.answer(json: batch) }
                // Alone, for scripts.
                context.console.answer(batch.batchId)
                context.console.hint("\(batch.totalTasks) tasks  \(batch.name.oneLine)")
            }
        }

        /// The two forms of the file.
        private struct Content: Decodable {
            var name: String?
            var tasks: [CreateTaskRequest]

            private enum CodingKeys: String, CodingKey { case name, tasks }

            init(from decoder: any Decoder) throws {
                guard let container = try? decoder.container(keyedBy: CodingKeys.self) else {
                    tasks = try [CreateTaskRequest](from: decoder)
                    return
                }
                name = try container.decodeIfPresent(String.self, forKey: .name)
                tasks = try container.decode([CreateTaskRequest].self, forKey: .tasks)
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a batch's counts and progress.",
            discussion: """
                Its tasks: drive tasks list --batch ID

                \(ExitStatus.help)
                """)

        @Argument(help: "The batch's id.")
        var id: String

        @OptionGroup var options: ClientOptions
        @OptionGroup var scope: ScopeOptions

        func run() async throws {
            let command = self
            try await options.run { context in
                let batch = try await context.client.taskBatch(command.id, of: command.scope.scope)
                if context.console.json { return try context.console.answer(json: batch) }
                var rows = [
                    ["id", batch.batchId], ["name", batch.name.oneLine], ["progress", "\(Int(batch.progress)) %"],
                    ["tasks", String(batch.totalTasks)], ["completed", String(batch.completedTasks)],
                    ["failed", String(batch.failedTasks)], ["cancelled", String(batch.cancelledTasks)],
                    ["created", batch.createdAt.description],
                ]
                if let end = batch.completedAt { rows.append(["ended", end.description]) }
                context.console.answer(table: rows)
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List your batches.", discussion: ExitStatus.help)

        @OptionGroup var options: ClientOptions
        @OptionGroup var scope: ScopeOptions
        @OptionGroup var page: PageOptions

        func run() async throws {
            let command = self
            try await options.run { context in
                let (offset, limit) = try command.page.values(context.settings)
                let page = try await context.client.taskBatches(offset: offset, limit: limit, of: command.scope.scope)
                if context.console.json { return try context.console.answer(json: page.elements) }
                context.console.answer(table: page.elements.map(\.row))
                if let total = page.total, total > page.elements.count {
                    context.console.hint("\(page.elements.count) of \(total) batches.")
                }
            }
        }
    }

    struct Cancel: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Cancel the open tasks of batches.", discussion: ExitStatus.help)

        @Argument(help: "The batches' ids.")
        var ids: [String]

        @OptionGroup var options: ClientOptions
        @OptionGroup var scope: ScopeOptions

        func run() async throws {
            let command = self
            try await options.run { context in
                try await context.forEach(command.ids) { id in
                    try context.console.answer(batch: try await context.client.cancelTaskBatch(id, of: command.scope.scope))
                }
            }
        }
    }
}

extension TaskBatch {
    fileprivate var row: [String] {
        let ended = completedTasks + failedTasks + cancelledTasks
        return [
            batchId, "\(ended) of \(totalTasks) ended", "\(failedTasks) failed", "\(Int(progress)) %", createdAt.shortText, name.oneLine,
        ]
    }
}

extension Console {
    /// A batch after it was made or changed.
    fileprivate func answer(batch: TaskBatch) throws {
        if json { return try answer(json: batch) }
        answer(table: [batch.row])
    }
}
