import DriveModel
import Foundation
import GRDB
import Synchronization

/// GRDB as the runner of our SQL. Lives inside one closure on GRDB's queue.
struct SQLiteSession: SQLSession {
    private let connection: GRDB.Database
    private let hooks: CommitHooks?

    /// - Parameter hooks: nil where nothing is committed.
    init(_ connection: GRDB.Database, hooks: CommitHooks? = nil) {
        self.connection = connection
        self.hooks = hooks
    }

    func afterCommit(_ work: @escaping @Sendable () -> Void) {
        hooks?.add(work)
    }

    var dialect: SQLDialect { .sqlite }

    func execute(_ sql: String, _ arguments: [SQLValue]) throws(DatabaseError) -> Int {
        do {
            try connection.cachedStatement(sql: NumberedParameters.sqlite(sql)).execute(arguments: Self.bind(arguments))
            return connection.changesCount
        } catch {
            throw DatabaseError(any: error)
        }
    }

    func query(_ sql: String, _ arguments: [SQLValue]) throws(DatabaseError) -> [SQLRow] {
        do {
            let statement = try connection.cachedStatement(sql: NumberedParameters.sqlite(sql))
            let cursor = try Row.fetchCursor(statement, arguments: Self.bind(arguments))
            let columns = SQLRow.Columns(statement.columnNames)
            let count = statement.columnCount
            var rows: [SQLRow] = []
            while let row = try cursor.next() {
                rows.append(SQLRow(columns: columns, values: (0..<count).map { Self.value(row[$0]) }))
            }
            return rows
        } catch {
            throw DatabaseError(any: error)
        }
    }

    private static func bind(_ arguments: [SQLValue]) -> StatementArguments {
        StatementArguments(
            arguments.map { argument -> DatabaseValue in
                switch argument {
                case .null: .null
                case .integer(let value): value.databaseValue
                case .double(let value): value.databaseValue
                case .text(let value), .json(let value): value.databaseValue
                case .blob(let value): Data(value).databaseValue
                case .bool(let value): (value ? 1 : 0).databaseValue
                case .timestamp(let value): value.microseconds.databaseValue
                case .uuid(let value): value.uuidString.lowercased().databaseValue
                }
            })
    }

    private static func value(_ value: DatabaseValue) -> SQLValue {
        switch value.storage {
        case .null: .null
        case .int64(let value): .integer(value)
        case .double(let value): .double(value)
        case .string(let value): .text(value)
        case .blob(let value): .blob([UInt8](value))
        }
    }
}

/// `$1` as SQLite's `?1`: there `$1` is a name, whose position follows its first appearance.
enum NumberedParameters {
    private static let cache = Mutex<[String: String]>([:])

    static func sqlite(_ sql: String) -> String {
        if let known = cache.withLock({ $0[sql] }) { return known }
        var text: [UInt8] = []
        var quoted = false
        let bytes = Array(sql.utf8)
        for (index, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: "'") { quoted.toggle() }
            let digitFollows = index + 1 < bytes.count && (48...57).contains(bytes[index + 1])
            text.append(byte == UInt8(ascii: "$") && digitFollows && !quoted ? UInt8(ascii: "?") : byte)
        }
        let translated = String(decoding: text, as: UTF8.self)
        cache.withLock { known in
            // Statements are literals of ours; the bound only guards against one that is not.
            if known.count > 2000 { known.removeAll() }
            known[sql] = translated
        }
        return translated
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
