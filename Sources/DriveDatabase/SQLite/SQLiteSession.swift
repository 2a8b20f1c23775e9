import DriveModel
import Foundation
import GRDB
import GRDBSQLite

/// Runs our SQL on one of GRDB's connections. Lives inside one closure on that connection's queue.
struct SQLiteSession: SQLSession {
    private let connection: OpaquePointer?
    private let statements: SQLiteStatements
    private let hooks: CommitHooks?

    /// - Parameter hooks: nil where nothing is committed.
    init(_ connection: GRDB.Database, caches: SQLiteStatementCaches, hooks: CommitHooks? = nil) {
        self.connection = connection.sqliteConnection
        statements = connection.sqliteConnection.map { caches.statements(of: $0) } ?? SQLiteStatements()
        self.hooks = hooks
    }

    private init(_ session: SQLiteSession, hooks: CommitHooks) {
        connection = session.connection
        statements = session.statements
        self.hooks = hooks
    }

    /// The same session for one closure of a group.
    func with(_ hooks: CommitHooks) -> SQLiteSession { SQLiteSession(self, hooks: hooks) }

    func afterCommit(_ work: @escaping @Sendable () -> Void) {
        hooks?.add(work)
    }

    func notify(_ channel: String, _ payload: String) {
        hooks?.notify(channel, payload)
    }

    var dialect: SQLDialect { .sqlite }

    func execute(_ sql: String, _ arguments: [SQLValue]) throws(DatabaseError) -> Int {
        try run(sql, arguments) { _ in }
    }

    func query(_ sql: String, _ arguments: [SQLValue]) throws(DatabaseError) -> [SQLRow] {
        var rows: [SQLRow] = []
        try run(sql, arguments) { statement in
            let values = (0..<statement.columnCount).map { Self.value(statement.pointer, $0) }
            rows.append(SQLRow(columns: statement.columns, values: values))
        }
        return rows
    }

    /// Steps through a statement; returns how many rows it changed.
    @discardableResult
    private func run(
        _ sql: String, _ arguments: [SQLValue], _ row: (SQLiteStatements.Prepared) -> Void
    ) throws(DatabaseError) -> Int {
        guard let connection else { throw DatabaseError(.unavailable, "the connection is closed") }
        do {
            let statement = try statements.prepared(sql, on: connection)
            defer {
                sqlite3_reset(statement.pointer)
                sqlite3_clear_bindings(statement.pointer)
            }
            for (position, index) in statement.arguments.enumerated() {
                guard index >= 0, index < arguments.count else {
                    throw GRDB.DatabaseError(resultCode: .SQLITE_RANGE, message: "the statement has no argument $\(index + 1)")
                }
                let code = Self.bind(arguments[index], to: statement.pointer, at: Int32(position + 1))
                guard code == SQLITE_OK else { throw SQLiteStatements.error(code, on: connection) }
            }
            var isFirst = true
            while true {
                switch sqlite3_step(statement.pointer) {
                case SQLITE_ROW:
                    if isFirst { statement.refresh() }
                    isFirst = false
                    row(statement)
                case SQLITE_DONE: return Int(sqlite3_changes(connection))
                default: throw SQLiteStatements.error(sqlite3_extended_errcode(connection), on: connection)
                }
            }
        } catch let error as GRDB.DatabaseError where hooks == nil && error.extendedResultCode == .SQLITE_READONLY {
            // The connection is read-only, not the file: a change within a read.
            throw DatabaseError(.statement, error.message ?? "a read must not change anything")
        } catch {
            throw DatabaseError(any: error)
        }
    }

    // SQLite copies what it is given.
    private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    private static func bind(_ argument: SQLValue, to statement: OpaquePointer, at index: Int32) -> Int32 {
        switch argument {
        case .null: sqlite3_bind_null(statement, index)
        case .integer(let value): sqlite3_bind_int64(statement, index, value)
        case .double(let value): sqlite3_bind_double(statement, index, value)
        case .text(let value), .json(let value): bind(value, to: statement, at: index)
        case .blob(let value):
            value.isEmpty
                ? sqlite3_bind_zeroblob(statement, index, 0)
                : value.withUnsafeBytes { sqlite3_bind_blob64(statement, index, $0.baseAddress, UInt64($0.count), transient) }
        case .bool(let value): sqlite3_bind_int64(statement, index, value ? 1 : 0)
        case .timestamp(let value): sqlite3_bind_int64(statement, index, value.microseconds)
        case .uuid(let value): bind(value.lowercaseString, to: statement, at: index)
        }
    }

    private static func bind(_ text: String, to statement: OpaquePointer, at index: Int32) -> Int32 {
        var text = text
        return text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                // An empty text has no address, which would be NULL.
                guard let base = $0.baseAddress else { return sqlite3_bind_text(statement, index, "", 0, transient) }
                return sqlite3_bind_text64(statement, index, base, UInt64($0.count), transient, UInt8(SQLITE_UTF8))
            }
        }
    }

    private static func value(_ statement: OpaquePointer, _ column: Int32) -> SQLValue {
        switch sqlite3_column_type(statement, column) {
        case SQLITE_INTEGER: return .integer(sqlite3_column_int64(statement, column))
        case SQLITE_FLOAT: return .double(sqlite3_column_double(statement, column))
        case SQLITE_TEXT:
            guard let text = sqlite3_column_text(statement, column) else { return .text("") }
            let count = Int(sqlite3_column_bytes(statement, column))
            return .text(String(decoding: UnsafeBufferPointer(start: text, count: count), as: UTF8.self))
        case SQLITE_BLOB:
            let count = Int(sqlite3_column_bytes(statement, column))
            guard let bytes = sqlite3_column_blob(statement, column) else { return .blob([]) }
            return .blob([UInt8](UnsafeRawBufferPointer(start: bytes, count: count)))
        default: return .null
        }
    }
}

extension DatabaseError {
    init(any error: any Error) {
        if let error = error as? GRDB.DatabaseError {
            self.init(error)
        } else if let error = error as? DatabaseError {
            self = error
        } else {
            self.init(.statement, "\(error)")
        }
    }

    init(_ error: GRDB.DatabaseError) {
        let message = error.message ?? error.resultCode.description
        let kind: Kind =
            switch (error.resultCode, error.extendedResultCode) {
            case (.SQLITE_CONSTRAINT, .SQLITE_CONSTRAINT_UNIQUE), (.SQLITE_CONSTRAINT, .SQLITE_CONSTRAINT_PRIMARYKEY):
                .uniqueViolation(message.replacing("UNIQUE constraint failed: ", with: ""))
            case (.SQLITE_CONSTRAINT, _): .constraintViolation
            case (.SQLITE_BUSY, _), (.SQLITE_LOCKED, _): .busy
            case (.SQLITE_FULL, _): .full
            case (.SQLITE_IOERR, _), (.SQLITE_CANTOPEN, _), (.SQLITE_READONLY, _), (.SQLITE_NOMEM, _): .ioFailure
            case (.SQLITE_CORRUPT, _), (.SQLITE_NOTADB, _): .corrupt
            case (.SQLITE_MISUSE, _), (.SQLITE_ABORT, _), (.SQLITE_INTERRUPT, _): .unavailable
            default: .statement
            }
        self.init(kind, message)
    }
}
