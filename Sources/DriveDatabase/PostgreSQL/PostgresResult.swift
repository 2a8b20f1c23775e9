import CLibPQ

/// A successful result; owns libpq's memory. Confined to the connection's thread.
final class PostgresResult {
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) {
        self.handle = handle
    }

    deinit { PQclear(handle) }

    /// The command as the server named it, with its count: `INSERT 0 1`, `COMMIT`.
    var command: String { String(cString: PQcmdStatus(handle)) }

    /// Rows that INSERT, UPDATE, DELETE or MERGE changed; 0 for anything else.
    var changedRows: Int {
        let command = command
        guard ["INSERT", "UPDATE", "DELETE", "MERGE"].contains(where: command.hasPrefix) else { return 0 }
        return Int(String(cString: PQcmdTuples(handle))) ?? 0
    }

    func rows() throws(PostgresFailure) -> [SQLRow] {
        let fieldCount = PQnfields(handle)
        let rowCount = PQntuples(handle)
        guard rowCount > 0 else { return [] }
        let columns = SQLRow.Columns((0..<fieldCount).map { String(cString: PQfname(handle, $0)) })
        let types = (0..<fieldCount).map { PQftype(handle, $0) }
        var rows: [SQLRow] = []
        rows.reserveCapacity(Int(rowCount))
        for row in 0..<rowCount {
            var values: [SQLValue] = []
            values.reserveCapacity(Int(fieldCount))
            for field in 0..<fieldCount { values.append(try value(row, field, types[Int(field)])) }
            rows.append(SQLRow(columns: columns, values: values))
        }
        return rows
    }

    private func value(_ row: Int32, _ field: Int32, _ type: Oid) throws(PostgresFailure) -> SQLValue {
        guard PQgetisnull(handle, row, field) == 0, let start = PQgetvalue(handle, row, field) else { return .null }
        let bytes = UnsafeRawBufferPointer(start: start, count: Int(PQgetlength(handle, row, field)))
        let value: SQLValue?
        switch type {
        case PostgresType.bool: value = .integer(bytes.first == UInt8(ascii: "t") ? 1 : 0)
        case PostgresType.bytea: value = Self.decodedHex(bytes).map { .blob($0) }
        case PostgresType.int2, PostgresType.int4, PostgresType.int8, PostgresType.oid:
            value = Int64(String(decoding: bytes, as: UTF8.self)).map { .integer($0) }
        case PostgresType.float4, PostgresType.float8:
            value = Double(String(decoding: bytes, as: UTF8.self)).map { .double($0) }
        default: value = .text(String(decoding: bytes, as: UTF8.self))
        }
        guard let value else { throw PostgresFailure("column \(field) holds a value that cannot be read as its type \(type)") }
        return value
    }

    /// `\x` and two hexadecimal digits per byte (`bytea_output = hex`).
    static func decodedHex(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        guard text.count >= 2, text.count.isMultiple(of: 2), text[0] == UInt8(ascii: "\\"), text[1] == UInt8(ascii: "x") else {
            return nil
        }
        func digit(_ character: UInt8) -> UInt8? {
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
            default: nil
            }
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 2 - 1)
        for index in stride(from: 2, to: text.count, by: 2) {
            guard let high = digit(text[index]), let low = digit(text[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }
}
