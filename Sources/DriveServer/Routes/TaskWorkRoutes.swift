import DriveModel
import DriveTasks
import Foundation
import HTTPTypes
import Hummingbird
import ServiceLifecycle

/// `/tasks/work`: Custom tasks for workers outside of Drive, in any language.
enum TaskWorkRoutes {
    static let all: [Route] = [
        Route(.post, "/tasks/work/lease", .work, lease),
        Route(.post, "/tasks/work/heartbeat", .work, heartbeat),
        Route(.post, "/tasks/work/progress", .work, progress),
        Route(.post, "/tasks/work/complete", .work, complete),
        Route(.post, "/tasks/work/fail", .work, fail),
        Route(.post, "/tasks/work/release", .work, release),
    ]

    /// The kinds one call may ask for.
    private static let mostKinds = TaskRequestRules.mostKinds

    @Sendable private static func lease(_ call: Call) async throws -> Response {
        let request: TaskLeaseRequest = try await call.json()
        let seconds = request.waitSeconds ?? 0
        guard (0...30).contains(seconds) else {
            throw DriveError(.invalidRequest, "waitSeconds must be a whole number from 0 to 30.", details: ["rule": "waitSeconds"])
        }
        guard (1...mostKinds).contains(request.kinds.count) else {
            throw DriveError(.invalidRequest, "kinds must name 1 to \(mostKinds) kinds of tasks.", details: ["rule": "kinds"])
        }
        let worker = request.worker ?? call.identity?.name ?? ""
        guard AccountRules.isValid(name: worker) else { throw AccountRules.invalidName }
        try call.checkGrant(for: request.kinds)
        let (tasks, scope) = (call.services.tasks, try call.workScope)
        let wait: @Sendable () async throws -> TaskLease? = {
            // A server that is to stop does not wait for tasks that may never come.
            let lease = try await cancelWhenGracefulShutdown {
                try await tasks.lease(kinds: request.kinds, worker: worker, wait: .seconds(seconds), in: scope)
            }
            guard let lease, Task.isCancelled else { return lease }
            // It came in the moment in which the worker went away: nobody would work on it.
            _ = try await Task { try await tasks.release(lease.leaseId, in: scope) }.value
            return nil
        }
        let lease: TaskLease?
        do {
            if let exchange = HTTPExchange.current {
                lease = try await exchange.cancellingOnDeparture(wait)
            } else {
                lease = try await wait()
            }
        } catch is CancellationError {
            lease = nil
        }
        guard let lease else { return Response(status: .noContent, headers: [.cacheControl: "no-store"]) }
        return try call.reply(lease)
    }

    @Sendable private static func heartbeat(_ call: Call) async throws -> Response {
        let request: TaskLeaseReference = try await call.json()
        return try call.reply(
            TaskWorkReply(requested: try await call.services.tasks.heartbeat(request.leaseId, in: try call.workScope)))
    }

    @Sendable private static func progress(_ call: Call) async throws -> Response {
        let request: TaskProgressRequest = try await call.json()
        let requested = try await call.services.tasks.updateTaskProgress(
            request.leaseId, progress: request.progress, message: request.statusMessage, checkpoint: request.checkpoint,
            in: try call.workScope)
        return try call.reply(TaskWorkReply(requested: requested))
    }

    @Sendable private static func complete(_ call: Call) async throws -> Response {
        let request: TaskCompletionRequest = try await call.json()
        return try call.reply(
            try await call.services.tasks.markTaskCompleted(request.leaseId, results: request.results ?? [:], in: try call.workScope))
    }

    @Sendable private static func fail(_ call: Call) async throws -> Response {
        let request: TaskFailureRequest = try await call.json()
        return try call.reply(
            try await call.services.tasks.markTaskFailed(request.leaseId, failure: try request.failure, in: try call.workScope))
    }

    @Sendable private static func release(_ call: Call) async throws -> Response {
        let request: TaskLeaseReference = try await call.json()
        return try call.reply(try await call.services.tasks.release(request.leaseId, in: try call.workScope))
    }
}

extension Call {
    /// Whose tasks a worker may have: those of its account, or everybody's where its token says so.
    fileprivate var workScope: TaskScope {
        get throws(DriveError) {
            if case .worker(let grant)? = identity?.kind, grant.allAccounts { return .everybody }
            return .account(try account)
        }
    }

    /// Throws `FORBIDDEN` for kinds that the worker's token does not name.
    fileprivate func checkGrant(for kinds: [String]) throws(DriveError) {
        guard case .worker(let grant)? = identity?.kind, !grant.permits(kinds) else { return }
        throw DriveError(
            .forbidden, "This worker token is good for the kinds \(grant.kinds.joined(separator: ", ")) alone.",
            details: ["rule": "workerToken", "kinds": .array(grant.kinds.map { .string($0) })])
    }
}

struct TaskLeaseRequest: Decodable {
    var kinds: [String]
    /// The worker's name, for people; nil: its account's.
    var worker: String?
    /// 0 to 30, how long to wait for a task; nil: not at all.
    var waitSeconds: Int?
}

/// The body of heartbeat and release.
struct TaskLeaseReference: Decodable {
    var leaseId: String
}

struct TaskProgressRequest: Decodable {
    var leaseId: String
    /// 0 to 100.
    var progress: Double
    var statusMessage: String?
    /// What the next attempt is given, should there be one; nil: the one before stays.
    var checkpoint: JSONValue?
}

struct TaskCompletionRequest: Decodable {
    var leaseId: String
    var results: [String: JSONValue]?
}

struct TaskFailureRequest: Decodable {
    var leaseId: String
    /// The worker's own code; nil: `WORKER_FAILED`.
    var errorCode: String?
    var errorMessage: String
    /// Whether another attempt may succeed; nil: yes.
    var retryable: Bool?

    static let longestCode = 100

    var failure: TaskFailure {
        get throws(DriveError) {
            let code = errorCode ?? "WORKER_FAILED"
            guard code.utf8.count <= Self.longestCode, AccountRules.isValid(name: code) else {
                throw DriveError(
                    .invalidRequest, "errorCode has 1 to \(Self.longestCode) bytes, no control characters, and no blanks at its ends.",
                    details: ["rule": "errorCode"])
            }
            return TaskFailure(code: code, message: errorMessage, isRetryable: retryable ?? true)
        }
    }
}

/// What a worker is told when it shows that it is alive.
struct TaskWorkReply: Encodable {
    /// `pause`: stop at the next safe step and release the task. nil: go on.
    var requested: TaskRequest?
}
