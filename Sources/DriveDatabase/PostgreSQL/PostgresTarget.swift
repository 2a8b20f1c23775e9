import CLibPQ

/// Where to connect to. Keeps the password out of everything that is shown.
struct PostgresTarget: Sendable {
    private let connectionString: String
    private let secrets: [String]

    /// Takes a libpq connection string (URI or `key=value`). Throws `statement` where libpq cannot read it; the
    /// reason is left out, as libpq quotes parts of the string, which may be the password.
    init(connectionString: String) throws(DatabaseError) {
        var message: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(connectionString, &message) else {
            PQfreemem(message)
            throw DatabaseError(.statement, "the PostgreSQL connection string cannot be read")
        }
        defer { PQconninfoFree(options) }
        var secrets: [String] = []
        var option = options
        while let keyword = option.pointee.keyword {
            // libpq marks a field for display: '*' is a password.
            let isSecret = option.pointee.dispchar.map { String(cString: $0) } == "*" || String(cString: keyword) == "passfile"
            if isSecret, let value = option.pointee.val.map({ String(cString: $0) }), !value.isEmpty { secrets.append(value) }
            option += 1
        }
        self.connectionString = connectionString
        self.secrets = secrets
    }

    /// A text of libpq's without the secrets, on one line.
    func redacted(_ message: String) -> String {
        let text = secrets.reduce(message) { $0.replacing($1, with: "***") }
        return text.split(whereSeparator: \.isNewline).map { $0.drop(while: \.isWhitespace) }.joined(separator: "; ")
    }

    /// Opens a connection. Blocks for `connect_timeout` (5 s unless the string says otherwise) per address at most.
    func connect() throws(PostgresFailure) -> OpaquePointer {
        // Later keywords win: what stands before `dbname` are defaults, what follows holds always.
        let keywords: [(String, String)] = [
            // Without Kerberos, unless the string says otherwise: looking for its files costs each connection more than the rest.
            ("connect_timeout", "5"), ("gssencmode", "disable"), ("application_name", "drive"), ("keepalives", "1"),
            ("keepalives_idle", "30"),
            ("keepalives_interval", "10"), ("keepalives_count", "3"), ("tcp_user_timeout", "45000"),
            ("dbname", connectionString), ("client_encoding", "UTF8"),
        ]
        let handle = withCStrings(keywords.map(\.0)) { names in
            withCStrings(keywords.map(\.1)) { values in PQconnectdbParams(names, values, 1) }
        }
        guard let handle else { throw PostgresFailure("libpq has no memory for a connection", isConnectionLost: true) }
        guard PQstatus(handle) == CONNECTION_OK else {
            let message = redacted(String(cString: PQerrorMessage(handle)))
            PQfinish(handle)
            throw PostgresFailure(message, isConnectionLost: true)
        }
        // Notices ("relation already exists, skipping") would go to standard error.
        PQsetNoticeProcessor(handle, { _, _ in }, nil)
        return handle
    }
}

/// Calls `body` with a null-terminated array of C strings that live as long as the call.
private func withCStrings<Result>(_ strings: [String], _ body: ([UnsafePointer<CChar>?]) -> Result) -> Result {
    strings.flatMap { $0.utf8CString }.withUnsafeBufferPointer { bytes in
        var pointers: [UnsafePointer<CChar>?] = []
        var offset = 0
        for string in strings {
            pointers.append(bytes.baseAddress.map { $0 + offset })
            offset += string.utf8.count + 1
        }
        return body(pointers + [nil])
    }
}
