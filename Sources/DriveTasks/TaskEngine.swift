import DriveDatabase
import DriveModel
import Foundation
import Logging
import Synchronization

/// What the configuration decides about tasks.
public struct TaskSettings: Sendable {
    /// Tasks one worker runs at the same time.
    public var slots = 32
    public var limits = TurnPlanner.Limits(perAccount: 16, perPool: 4)
    /// How often a worker shows a sign of life, and how long it may show none.
    public var heartbeat: Duration = .seconds(10)
    public var leasePatience: Duration = .seconds(30)
    /// How often a worker looks by itself for what no notification told.
    public var pollInterval: Duration = .seconds(1)
    /// How long a stopping worker lets its tasks run on.
    public var drainTime: Duration = .seconds(5)
    /// How long a handler may take to stop at a safe step; then its slot is free without it.
    public var interruptionPatience: Duration = .seconds(10)
    /// Open tasks an account may have.
    public var maximumOpenPerAccount = 100_000

    public init() {}
}

/// The engine: what waits, what runs, and the rules between. Its work in the database stands in extensions, as synchronous
/// functions inside a caller's transaction; `TaskWorker` runs the tasks, `TaskService` is what their owners call.
public final class TaskEngine: Sendable {
    /// The channels by which workers hear of work and of what was asked of running tasks.
    static let workChannel = "drive_task_work"
    /// Told in the place of a queue's name where a limit has room again.
    static let anyQueue = "*"
    static let controlChannel = "drive_task_control"
    static let scheduleChannel = "drive_task_schedules"
    /// The account of the server's own tasks; nobody gets events of it.
    public static let systemAccount = UUID(uuid: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))

    public let database: any Database
    public let settings: TaskSettings
    /// Of tasks that are driven by calls; whoever serves those runs it.
    public let heldProgress: HeldProgress
    let surroundings: Surroundings
    let logger: Logger
    private let handlers = Mutex<[HandlerKey: any TaskHandler]>([:])
    let durations = Mutex<[DurationKey: DurationEstimate]>([:])

    struct HandlerKey: Hashable {
        var type: TaskType
        var kind: String?
    }

    struct DurationKey: Hashable {
        /// The type's word, or `Custom:` and the kind.
        var kind: String
        var sizeClass: Int

        init(type: TaskType, kind: String?, size: Int64?) {
            self.kind = TaskEngine.laneType(type, kind: kind)
            sizeClass = DurationEstimate.sizeClass(size)
        }

        init(kind: String, sizeClass: Int) {
            self.kind = kind
            self.sizeClass = sizeClass
        }
    }

    public init(
        database: any Database, settings: TaskSettings = TaskSettings(), surroundings: Surroundings = .system, logger: Logger
    ) {
        self.database = database
        self.settings = settings
        self.surroundings = surroundings
        self.logger = logger
        heldProgress = HeldProgress(database: database, surroundings: surroundings, logger: logger)
    }

    /// Adds handlers, before tasks of theirs are made or run. A later one takes the place of an earlier one of its type and kind.
    public func register(_ added: [any TaskHandler]) {
        handlers.withLock { handlers in
            for handler in added { handlers[HandlerKey(type: handler.type, kind: handler.kind)] = handler }
        }
    }

    /// The handler of a type and kind; nil where this program has none.
    func handler(_ type: TaskType, kind: String?) -> (any TaskHandler)? {
        handlers.withLock { $0[HandlerKey(type: type, kind: kind)] }
    }

    /// The types and kinds of which this program has a handler, as `laneType` names them.
    var handledTypes: Set<String> { handlers.withLock { Set($0.keys.map { Self.laneType($0.type, kind: $0.kind) }) } }

    /// The limits, with those of the handlers' types.
    func limits() -> TurnPlanner.Limits {
        var limits = settings.limits
        let all = handlers.withLock { Array($0.values) }
        for handler in all {
            let type = Self.laneType(handler.type, kind: handler.kind)
            if let maximum = handler.policy.maximumRunning, limits.perType[type] == nil { limits.perType[type] = maximum }
        }
        return limits
    }

    /// A new task's id: unguessable, and growing with time, so that new rows lie side by side in the indexes.
    func newTaskId(_ now: Timestamp) -> String {
        var milliseconds = UInt64(max(0, now.microseconds / 1000))
        var prefix: [UInt8] = []
        for _ in 0..<8 {
            prefix.append(Self.letters[Int(milliseconds % 62)])
            milliseconds /= 62
        }
        return String(decoding: prefix.reversed(), as: UTF8.self) + surroundings.newIdentifier().prefix(20)
    }

    private static let letters = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    /// A UUID of version 7 (RFC 9562, section 5.7).
    func newUUID(_ now: Timestamp) -> UUID {
        var bytes = surroundings.randomBytes(16)
        guard bytes.count == 16 else { return UUID() }
        let milliseconds = UInt64(max(0, now.microseconds / 1000))
        for index in 0..<6 { bytes[index] = UInt8(truncatingIfNeeded: milliseconds >> UInt64(40 - 8 * index)) }
        bytes[6] = bytes[6] & 0x0F | 0x70
        bytes[8] = bytes[8] & 0x3F | 0x80
        return bytes.withUnsafeBytes { UUID(uuid: $0.loadUnaligned(as: uuid_t.self)) }
    }

    func estimatedSeconds(type: TaskType, kind: String?, size: Int64?) -> Int64? {
        durations.withLock { $0[DurationKey(type: type, kind: kind, size: size)]?.estimatedSeconds }
    }
}
