import ArgumentParser
import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import Foundation
import Logging

/// Measures the task engine as it is: its queue over a real database, with full durability. `make bench` runs it.
@main
struct TaskBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "task-benchmark",
        abstract: "Measures the task engine; prints one line of JSON.",
        subcommands: [Rate.self, Pickup.self, Hold.self, Recover.self, Load.self, Progress.self])
}

/// Which database, and how large.
struct Target: ParsableArguments {
    @Option(help: "A postgres:// address; without it an SQLite database in --folder.")
    var url: String?

    @Option(help: "The folder of the SQLite database.")
    var folder = "."

    @Option(help: "Faults, as DRIVE_FAULTS: fsync:delay=5ms adds 5 ms to every flush.")
    var faults = ""

    @Option(help: "Tasks one worker runs at the same time.")
    var slots = 128

    func engine(_ handler: any TaskHandler) async throws -> TaskEngine {
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = .error
            return handler
        }
        let logger = Logger(label: "bench")
        let faults = try Faults(specification: faults)
        let database: any Database
        if let url {
            database = try PostgresDatabase(connectionString: url, maximumConnections: 24, logger: logger, faults: faults)
        } else {
            database = try SQLiteDatabase(path: folder + "/tasks.db", logger: logger, faults: faults)
        }
        try await Schema.migrate(database)
        var settings = TaskSettings()
        settings.slots = slots
        settings.drainTime = .seconds(30)
        let engine = TaskEngine(database: database, settings: settings, logger: logger)
        engine.register([handler])
        return engine
    }
}

/// Does nothing, or tells that it began.
struct BenchmarkHandler: TaskHandler {
    let began: @Sendable (String) async -> Void

    var type: TaskType { .custom }
    var kind: String? { "bench" }

    func plan(_ parameters: [String: JSONValue], by caller: Caller) async throws -> TaskPlan { TaskPlan(name: "bench", parameters: [:]) }

    func run(_ task: any TaskContext) async throws -> [String: JSONValue] {
        await began(task.taskId)
        return [:]
    }
}

extension TaskEngine {
    /// A no-op task, in a transaction of its own, durable when this returns.
    func enqueueNothing(account: UUID) async throws -> String {
        let task = try NewTask(type: .custom, kind: "bench", name: "bench", accountId: account)
        return try await database.write { sql in try self.enqueue(task, in: sql).taskId }
    }

    func count(_ status: TaskStatus) async throws -> Int {
        try await database.read { sql in
            try sql.first("SELECT COUNT(*) AS tasks FROM tasks WHERE status = $1 AND kind = 'bench'", [.text(status.rawValue)])?.int(
                "tasks") ?? 0
        }
    }
}

/// Answers in one line of JSON.
func answer(_ values: [String: JSONValue]) throws {
    print(try DriveJSON.text(values))
}

/// A word for the driver, at once. Not by `print` and `fflush(nil)`: that waits for the lock of the input, which its reader
/// holds, and holds the one without which no thread of the process opens a file.
func say(_ word: String) throws {
    try FileHandle.standardOutput.write(contentsOf: Data((word + "\n").utf8))
}

/// What all threads of this process had of the processors so far.
func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// The value below which this share of the sorted values lies.
func percentile(_ share: Double, of values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return 0 }
    let rank = Int((Double(sorted.count) * share).rounded(.up))
    return sorted[min(sorted.count, max(1, rank)) - 1]
}
