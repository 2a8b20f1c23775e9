import DriveDatabase
import DriveModel
import Foundation
import Logging

/// One attempt, as its handler sees it.
public protocol TaskContext: Sendable {
    var taskId: String { get }
    var accountId: UUID { get }
    var parameters: [String: JSONValue] { get }
    /// 1 for the first.
    var attempt: Int { get }
    /// Grows with every lease; part of names that belong to this attempt alone.
    var fencingToken: Int64 { get }
    /// What the last attempt kept; nil at the first.
    var checkpoint: JSONValue? { get }
    /// 0 to 100, where the last attempt stood.
    var progress: Double { get }
    var logger: Logger { get }

    /// Throws where pause, cancel or a stop was asked for, or the lease is lost; between two steps of a long handler.
    func checkInterruption() throws(TaskInterruption)

    /// Tells how far it is. Cheap: the row is written at most once a second, and events go out as the throttle says.
    /// - Parameters:
    ///   - progress: 0 to 100; what is less than before changes nothing.
    ///   - message: one line for people; nil leaves the last one.
    func report(_ progress: Double, message: String?)

    /// Runs a change in a transaction that holds only while this attempt has the lease, with the checkpoint that says it is
    /// done. Throws `TaskInterruption.fenced` where another has it, and nothing of the change stays.
    func commit<Result: Sendable>(
        checkpoint: JSONValue?, progress: Double?, message: String?, _ change: @escaping @Sendable (any SQLSession) throws -> Result
    ) async throws -> Result
}

extension TaskContext {
    public func report(_ progress: Double) { report(progress, message: nil) }

    /// Keeps how far the attempt is, so that the next one goes on there.
    public func save(_ checkpoint: JSONValue, progress: Double? = nil, message: String? = nil) async throws {
        try await commit(checkpoint: checkpoint, progress: progress, message: message) { _ in }
    }
}
