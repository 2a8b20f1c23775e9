import DriveEvents
import DriveModel
import EngineTestSupport
import Foundation
import Synchronization

@testable import DriveTasks

/// A handler whose attempts the test ends: each is handed out and waits.
final class HeldHandler: TaskHandler {
    /// How an attempt behaves when it is asked to stop.
    enum Manner: Sendable {
        case heeds, ignores
    }

    let type: TaskType
    let kind: String?
    let queue: String
    let policy: TaskPolicy
    let attempts = Mailbox<HeldAttempt>()
    private let manner: Manner

    init(
        _ type: TaskType = .custom, kind: String? = "work", queue: String = TaskQueues.drive, policy: TaskPolicy = TaskPolicy(),
        _ manner: Manner = .heeds
    ) {
        self.type = type
        self.kind = type == .custom ? kind : nil
        self.queue = queue
        self.policy = policy
        self.manner = manner
    }

    func plan(_ parameters: [String: JSONValue], by caller: Caller) async throws -> TaskPlan {
        TaskPlan(name: "held", parameters: parameters)
    }

    func run(_ task: any TaskContext) async throws -> [String: JSONValue] {
        let attempt = HeldAttempt(task, manner)
        attempts.put(attempt)
        return try await attempt.outcome()
    }
}

/// An attempt in the test's hands.
final class HeldAttempt: Sendable {
    let task: any TaskContext
    /// Opens when the handler was asked to stop.
    let interrupted = Gate()
    private let manner: HeldHandler.Manner
    private let goOn = Gate()
    private let result = Mutex<Result<[String: JSONValue], any Error>?>(nil)

    init(_ task: any TaskContext, _ manner: HeldHandler.Manner) {
        self.task = task
        self.manner = manner
    }

    func complete(_ results: [String: JSONValue] = [:]) { end(.success(results)) }
    func fail(_ error: any Error) { end(.failure(error)) }

    private func end(_ outcome: Result<[String: JSONValue], any Error>) {
        result.withLock { $0 = $0 ?? outcome }
        goOn.open()
    }

    fileprivate func outcome() async throws -> [String: JSONValue] {
        await withTaskCancellationHandler {
            await goOn.wait()
        } onCancel: {
            interrupted.open()
            if manner == .heeds { goOn.open() }
        }
        if let result = result.withLock({ $0 }) { return try result.get() }
        try task.checkInterruption()
        throw CancellationError()
    }
}

/// A handler that does what it is told in one go.
struct QuickHandler: TaskHandler {
    var type = TaskType.custom
    var kind: String? = "quick"
    var queue = TaskQueues.drive
    var policy = TaskPolicy()
    let body: @Sendable (any TaskContext) async throws -> [String: JSONValue]

    init(
        _ type: TaskType = .custom, kind: String? = "quick", policy: TaskPolicy = TaskPolicy(),
        _ body: @escaping @Sendable (any TaskContext) async throws -> [String: JSONValue] = { _ in [:] }
    ) {
        self.type = type
        self.kind = type == .custom ? kind : nil
        self.policy = policy
        self.body = body
    }

    func plan(_ parameters: [String: JSONValue], by caller: Caller) async throws -> TaskPlan {
        TaskPlan(name: "quick", parameters: parameters)
    }

    func run(_ task: any TaskContext) async throws -> [String: JSONValue] { try await body(task) }
}
