import Foundation
import GRDB
import GRDBSQLite
import Synchronization

/// The prepared statements of one connection, used on that connection's thread alone.
///
/// GRDB keeps the connections and their queues; binding, stepping and reading go to SQLite itself, because the boxes that
/// GRDB makes of every value cost more than SQLite needs for our statements.
///
/// `@unchecked Sendable`: handed out by `SQLiteStatementCaches` inside a closure on the connection's queue, never kept.
final class SQLiteStatements: @unchecked Sendable {
    /// Statements are literals of ours; the bound only guards against one that is not.
    static let limit = 1000

    final class Prepared {
        let pointer: OpaquePointer
        /// For each parameter of SQLite the argument that belongs to it, from 0: `$1` is a name to SQLite, whose place
        /// follows its first appearance.
        let arguments: [Int]
        private(set) var columns: SQLRow.Columns
        private(set) var columnCount: Int32
        private var preparations: Int32 = 0

        init(_ pointer: OpaquePointer) {
            self.pointer = pointer
            let parameters = sqlite3_bind_parameter_count(pointer)
            arguments = (0..<parameters).map { index in
                let name = sqlite3_bind_parameter_name(pointer, index + 1).map { String(cString: $0) } ?? ""
                return Int(name.dropFirst()).map { $0 - 1 } ?? Int(index)
            }
            columnCount = sqlite3_column_count(pointer)
            columns = Self.columns(of: pointer)
        }

        /// To be called after the first step: SQLite prepares a statement again where its tables changed.
        func refresh() {
            let preparations = sqlite3_stmt_status(pointer, SQLITE_STMTSTATUS_REPREPARE, 0)
            guard preparations != self.preparations else { return }
            self.preparations = preparations
            columnCount = sqlite3_column_count(pointer)
            columns = Self.columns(of: pointer)
        }

        private static func columns(of pointer: OpaquePointer) -> SQLRow.Columns {
            SQLRow.Columns(
                (0..<sqlite3_column_count(pointer)).map { sqlite3_column_name(pointer, $0).map { String(cString: $0) } ?? "" })
        }

        deinit {
            sqlite3_finalize(pointer)
        }
    }

    private var known: [String: Prepared] = [:]

    func prepared(_ sql: String, on connection: OpaquePointer) throws(GRDB.DatabaseError) -> Prepared {
        if let statement = known[sql] { return statement }
        var pointer: OpaquePointer?
        var second: OpaquePointer?
        let code = sql.withCString { text in
            var rest: UnsafePointer<CChar>?
            let code = sqlite3_prepare_v3(connection, text, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &pointer, &rest)
            // Nothing but space and remarks may follow.
            guard code == SQLITE_OK, let rest, rest.pointee != 0 else { return code }
            return sqlite3_prepare_v3(connection, rest, -1, 0, &second, nil)
        }
        guard code == SQLITE_OK, second == nil, let pointer else {
            sqlite3_finalize(pointer)
            sqlite3_finalize(second)
            if code == SQLITE_OK { throw GRDB.DatabaseError(resultCode: .SQLITE_ERROR, message: "a text is one statement") }
            throw Self.error(code, on: connection)
        }
        if known.count >= Self.limit { known.removeAll() }
        let statement = Prepared(pointer)
        known[sql] = statement
        return statement
    }

    static func error(_ code: Int32, on connection: OpaquePointer) -> GRDB.DatabaseError {
        let message = sqlite3_errmsg(connection).map { String(cString: $0) }
        return GRDB.DatabaseError(resultCode: ResultCode(rawValue: code), message: message)
    }
}

/// The statements of each open connection.
final class SQLiteStatementCaches: Sendable {
    private let caches = Mutex<[Int: SQLiteStatements]>([:])

    /// To be called for every connection that opens: its address may be the one of a closed connection.
    func connectionOpened(_ connection: GRDB.Database) {
        guard let pointer = connection.sqliteConnection else { return }
        let address = Int(bitPattern: pointer)
        caches.withLock { $0[address] = SQLiteStatements() }
    }

    func statements(of connection: OpaquePointer) -> SQLiteStatements {
        let address = Int(bitPattern: connection)
        return caches.withLock { caches in
            if let known = caches[address] { return known }
            let new = SQLiteStatements()
            caches[address] = new
            return new
        }
    }

    /// Before the connections close, while none of them works: SQLite closes none that has statements.
    func removeAll() {
        caches.withLock { $0 = [:] }
    }
}
