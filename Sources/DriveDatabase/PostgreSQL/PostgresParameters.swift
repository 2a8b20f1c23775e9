import CLibPQ
import DriveModel
import Foundation

/// The arguments of a statement in the form libpq takes them: text, all in one buffer; bytes in binary.
struct PostgresParameters {
    /// Type per parameter; 0 lets the server infer it from where the parameter stands.
    private(set) var types: [Oid] = []
    private var offsets: [Int?] = []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []
    private var bytes: [UInt8] = []

    /// Throws `statement` for text with a NUL, which PostgreSQL cannot store and libpq would cut.
    init(_ values: [SQLValue]) throws(PostgresFailure) {
        for value in values {
            switch value {
            case .null: addNull()
            // Typed: where nothing but a number stands beside it (`$1 > 0`), an inferred INTEGER would refuse 2³¹.
            case .integer(let value): try addText(String(value), PostgresType.int8)
            case .double(let value): try addText(String(value), PostgresType.float8)
            case .bool(let value): try addText(value ? "t" : "f", PostgresType.bool)
            case .timestamp(let value): try addText(value.description, PostgresType.timestamptz)
            // Inferred: the same text serves a VARCHAR and a UUID or JSONB column.
            case .text(let value), .json(let value): try addText(value, PostgresType.unknown)
            case .uuid(let value): try addText(value.lowercaseString, PostgresType.unknown)
            case .blob(let value): addBinary(value)
            }
        }
    }

    var count: Int32 { Int32(types.count) }

    /// Calls `body` with values, lengths and formats that live as long as the call.
    func withPointers<Result>(
        _ body: ([UnsafePointer<CChar>?], [Int32], [Int32]) -> Result
    ) -> Result {
        bytes.withUnsafeBytes { buffer in
            let values = offsets.map { offset in
                offset.flatMap { offset in
                    buffer.baseAddress.map { ($0 + offset).assumingMemoryBound(to: CChar.self) }
                }
            }
            return body(values, lengths, formats)
        }
    }

    private mutating func addNull() {
        add(PostgresType.unknown, offset: nil, length: 0, format: 0)
    }

    private mutating func addText(_ text: String, _ type: Oid) throws(PostgresFailure) {
        let offset = bytes.count
        bytes.append(contentsOf: text.utf8)
        guard !bytes[offset...].contains(0) else { throw PostgresFailure("a text with a NUL cannot be stored") }
        add(type, offset: offset, length: 0, format: 0)
        bytes.append(0)
    }

    private mutating func addBinary(_ value: [UInt8]) {
        add(PostgresType.bytea, offset: bytes.count, length: Int32(value.count), format: 1)
        bytes.append(contentsOf: value)
        // So that the pointer of an empty value is not the end of the buffer, nor nil.
        bytes.append(0)
    }

    private mutating func add(_ type: Oid, offset: Int?, length: Int32, format: Int32) {
        types.append(type)
        offsets.append(offset)
        lengths.append(length)
        formats.append(format)
    }
}

/// Type numbers of PostgreSQL's catalogue (`pg_type.dat`); they never change.
enum PostgresType {
    static let unknown: Oid = 0
    static let bool: Oid = 16
    static let bytea: Oid = 17
    static let int8: Oid = 20
    static let int2: Oid = 21
    static let int4: Oid = 23
    static let oid: Oid = 26
    static let float4: Oid = 700
    static let float8: Oid = 701
    static let timestamptz: Oid = 1184
}
