import CLibPQ

/// Which statements a connection has prepared; the least recently used one gives way.
struct PostgresStatementCache {
    /// One text may be prepared for several parameter types (a NULL has none).
    struct Key: Hashable {
        var sql: String
        var types: [Oid]
    }

    private struct Entry {
        var name: String
        var lastUse: UInt64
    }

    private let capacity: Int
    private var entries: [Key: Entry] = [:]
    private var uses: UInt64 = 0
    private var names: UInt64 = 0

    init(capacity: Int) {
        self.capacity = max(1, capacity)
    }

    /// The name of a prepared statement, which counts as a use of it.
    mutating func name(for key: Key) -> String? {
        uses += 1
        guard let name = entries[key]?.name else { return nil }
        entries[key]?.lastUse = uses
        return name
    }

    /// A name never given before on this connection.
    mutating func newName() -> String {
        names += 1
        return "drive_\(names)"
    }

    mutating func insert(_ name: String, for key: Key) {
        entries[key] = Entry(name: name, lastUse: uses)
    }

    /// Takes out the statement used longest ago where there is no room for another one.
    mutating func evict() -> String? {
        guard entries.count >= capacity, let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse }) else { return nil }
        entries[oldest.key] = nil
        return oldest.value.name
    }

    mutating func removeAll() {
        entries.removeAll()
    }
}
