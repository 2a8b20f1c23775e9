import DriveDatabase
import Synchronization

/// A database whose replies get lost, or come late, as over a broken connection: the change is made all the same.
public final class UnreliableDatabase: Database {
    private let base: any Database
    private let lostReplies = Mutex(0)
    private let refusals = Mutex(0)
    private let held = Mutex<(reached: Gate, until: Gate)?>(nil)

    public init(_ base: any Database) {
        self.base = base
    }

    public var dialect: SQLDialect { base.dialect }
    public var queueLength: Int { base.queueLength }

    /// The next writes take effect, and their callers get `unavailable`.
    public func loseReplies(_ count: Int) {
        lostReplies.withLock { $0 = count }
    }

    /// The next writes change nothing, and their callers get `unavailable`.
    public func refuse(_ count: Int) {
        refusals.withLock { $0 = count }
    }

    /// Refusals that are still to come.
    public var refusalsLeft: Int { refusals.withLock { $0 } }

    /// The next write tells `reached` and begins after `until`.
    public func hold(reached: Gate, until: Gate) {
        held.withLock { $0 = (reached, until) }
    }

    public func read<Result: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> Result) async throws -> Result {
        try await base.read(body)
    }

    public func write<Result: Sendable>(_ body: @escaping @Sendable (any SQLSession) throws -> Result) async throws -> Result {
        let hold = held.withLock { held in
            defer { held = nil }
            return held
        }
        if let hold {
            hold.reached.open()
            await hold.until.wait()
        }
        let isRefused = refusals.withLock { count in
            if count > 0 { count -= 1 } else { return false }
            return true
        }
        if isRefused { throw DatabaseError(.unavailable, "no connection") }
        let result = try await base.write(body)
        let isLost = lostReplies.withLock { count in
            count -= 1
            return count >= 0
        }
        if isLost { throw DatabaseError(.unavailable, "the connection broke") }
        return result
    }

    public func listen(to channels: [String]) throws -> any DatabaseListener { try base.listen(to: channels) }
    public func checkIntegrity() async throws -> [String] { try await base.checkIntegrity() }
    public func close() async { await base.close() }
}
