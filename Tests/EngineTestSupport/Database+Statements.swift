import DriveDatabase

extension Database {
    /// One statement in a transaction of its own; how many rows it changed.
    @discardableResult
    public func change(_ sql: String, _ arguments: [SQLValue] = []) async throws -> Int {
        try await write { try $0.execute(sql, arguments) }
    }

    /// The number a query gives as `value`; zero where it gives no row.
    public func number(_ sql: String, _ arguments: [SQLValue] = []) async throws -> Int64 {
        try await read { try $0.first(sql, arguments)?.int64("value") ?? 0 }
    }
}
