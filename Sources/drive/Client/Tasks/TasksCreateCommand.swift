import ArgumentParser
import DriveClient
import DriveModel
import Foundation

/// What a new task is: taken by `create` and `schedule create`.
struct NewTaskOptions: ParsableArguments {
    @Option(help: "What it does: Custom, FileMove, BulkOperation, StorageMigration, …")
    var type: String

    @Option(help: "What a Custom task is, to the worker that takes it.")
    var kind: String?

    @Option(help: "Its name in lists; otherwise the type's own.")
    var name: String?

    @Option(help: "A sentence about it.")
    var description: String?

    @Option(help: "0 to 100, higher first (default 0).")
    var priority: Int?

    @Option(
        name: .customLong("param"), parsing: .upToNextOption,
        help: ArgumentHelp("Parameters: KEY=TEXT, or KEY:=JSON for numbers, lists and the rest.", valueName: "key=value"))
    var parameters: [String] = []

    @Option(help: "A file with the parameters as a JSON object, - for standard input; --param adds to it.", completion: .file())
    var params: String?

    @Option(help: "While a task of yours with this key is open, it is the answer and no second one is made.")
    var uniqueKey: String?

    @Option(help: "How often it is tried; otherwise the type's own.")
    var maxAttempts: Int?

    func validate() throws {
        do {
            let type: TaskType = try TaskArgument.named(type, "--type")
            if type == .custom, kind == nil { throw ValidationError("A Custom task needs its --kind.") }
            if type != .custom, kind != nil { throw ValidationError("--kind goes with --type Custom only.") }
            _ = try ParameterText.read(parameters)
        } catch let error as DriveClientError {
            throw ValidationError(error.description)
        }
    }

    func request() async throws -> CreateTaskRequest {
        var all: [String: JSONValue] = [:]
        if let params {
            all = try await JSONInput.read(params, "the parameters of a task, a JSON object") {
                try DriveJSON.plainDecoder().decode($0, from: $1)
            }
        }
        all.merge(try ParameterText.read(parameters)) { _, last in last }
        return CreateTaskRequest(
            type: try TaskArgument.named(type, "--type"), kind: kind, name: name, description: description, priority: priority,
            parameters: all.isEmpty ? nil : all, uniqueKey: uniqueKey, maxAttempts: maxAttempts)
    }
}

/// `drive tasks create`.
struct TasksCreateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a task of any type.",
        discussion: """
            Examples:
              drive tasks create --type Custom --kind word-count --param text='to be or not' top:=3
              drive tasks create --type Custom --kind report --params report.json --run-at 2h --watch
              drive tasks create --type Custom --kind notify --after 3kTz… 8Qw1…

            With --watch: exit status 1 where it Failed, was Cancelled or Expired.
            \(ExitStatus.help)
            """)

    @OptionGroup var task: NewTaskOptions

    @Option(help: "Not before: a span like 30m, or 2030-01-31T12:00:00Z.")
    var runAt: String?

    @Option(help: "Expired where it has not ended by then: a span like 2h, or 2030-01-31T12:00:00Z.")
    var expiresAt: String?

    @Option(parsing: .upToNextOption, help: ArgumentHelp("Tasks that must be Completed first.", valueName: "task-id"))
    var after: [String] = []

    @OptionGroup var watch: WatchOptions
    @OptionGroup var options: ClientOptions

    func validate() throws {
        _ = try runAt.map { try TaskArgument.time($0, "--run-at") }
        _ = try expiresAt.map { try TaskArgument.time($0, "--expires-at") }
    }

    func run() async throws {
        let command = self
        try await options.run { context in
            var request = try await command.task.request()
            request.runAt = try command.runAt.map { try TaskArgument.time($0, "--run-at") }
            request.expiresAt = try command.expiresAt.map { try TaskArgument.time($0, "--expires-at") }
            request.dependsOn = command.after.isEmpty ? nil : command.after
            try await context.create(request, command.watch)
        }
    }
}

extension ClientContext {
    /// Makes a task and tells its id, alone on standard output for scripts; where that was asked, follows it to its end.
    func create(_ request: CreateTaskRequest, _ watch: WatchOptions) async throws {
        let task = try await client.createTask(request)
        guard watch.watch else {
            if console.json { return try console.answer(json: task) }
            console.answer(task.taskId)
            return console.hint("\(task.statusText)  \(task.name.oneLine)")
        }
        console.hint("Task \(task.taskId). Ctrl-C ends the watching, not the task.")
        try await follow([task.taskId], every: try watch.interval())
    }
}

/// JSON from a file of this machine or from standard input.
enum JSONInput {
    /// - Parameter form: what it should be, for the message.
    /// - Throws: `.file` where it cannot be read, `.invalidArgument` where it is something else.
    static func read<Value: Sendable>(
        _ path: String, _ form: String, _ decode: (Value.Type, Data) throws -> Value
    ) async throws(DriveClientError) -> Value {
        let data = try await content(path)
        do {
            return try decode(Value.self, data)
        } catch {
            let reason = (error as? DecodingError).map { " (\(Self.reason($0)))" } ?? ""
            throw .invalidArgument("\(path == "-" ? "Standard input" : path) is not \(form)\(reason).")
        }
    }

    /// On a thread of its own: a pipe may keep its reader waiting.
    private static func content(_ path: String) async throws(DriveClientError) -> Data {
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<Data, DriveClientError>, Never>) in
            DispatchQueue.global().async {
                do {
                    let file = path == "-" ? FileHandle.standardInput : try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
                    continuation.resume(returning: .success(try file.readToEnd() ?? Data()))
                } catch {
                    let name = path == "-" ? "standard input" : path
                    continuation.resume(returning: .failure(.file(path: name, reason: "it cannot be read")))
                }
            }
        }
        return try result.get()
    }

    private static func reason(_ error: DecodingError) -> String {
        let context: DecodingError.Context
        switch error {
        case .keyNotFound(let key, _): return "\(key.stringValue) is missing"
        case .typeMismatch(_, let found), .valueNotFound(_, let found), .dataCorrupted(let found): context = found
        @unknown default: return "unreadable"
        }
        let place = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
        return place.isEmpty ? "no valid JSON of this form" : "wrong value at \(place)"
    }
}
