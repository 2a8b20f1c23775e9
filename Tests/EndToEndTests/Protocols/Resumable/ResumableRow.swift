import DriveModel
import Testing

/// One normative sentence of draft-ietf-httpbis-resumable-upload-11 that binds a server, and how it is seen from outside.
struct ResumableRow: Sendable, CustomTestStringConvertible {
    typealias Check = @Sendable (ResumableScene) async throws -> Void

    let number: Int
    /// Of the draft.
    let section: String
    /// The word of BCP 14.
    let level: String
    /// Nearly verbatim.
    let sentence: String
    /// Gets an account of the row's own that speaks interop version 8.
    let check: Check

    init(_ number: Int, _ section: String, _ level: String, _ sentence: String, _ check: @escaping Check) {
        self.number = number
        self.section = section
        self.level = level
        self.sentence = sentence
        self.check = check
    }

    var testDescription: String { "row \(number), §\(section), \(level): \(sentence)" }

    static let all: [ResumableRow] =
        resourceRows + limitRows + optionRows + creationRows + creationResponseRows + retrievalRows + appendRows + appendResponseRows
        + cancellationRows + concurrencyRows + digestRows + securityRows + versionRows

    /// Sentences without a row, and why.
    static let without: [ClosedRange<Int>: String] = [
        15...15: "binds clients; Drive announces no min-append-size",
        16...16: "binds clients; an upload lives for a minute at least, longer than a test",
        21...21: "binds readers of Upload-Limit: clients",
        29...30: "bind clients; that DELETE after a cut works is row 20",
        32...32: "binds clients; that a busy upload is no 4xx is row 53",
        43...44: "bind clients; that there is one Location is row 42",
        48...49: "bind clients",
        51...52: "bind clients; redirects are not used",
        54...54: "binds clients",
        62...62: "binds clients",
        64...66: "bind clients; redirects are not used, and a 5xx needs a fault",
        92...92: "binds clients",
        104...104: "advice to intermediaries",
        107...107: "binds clients",
        110...110: "binds clients; that every 104 has the version is row 109",
    ]
}

@Suite struct ResumableRowTests {
    @Test(arguments: ResumableRow.all) func theServerDoesWhatTheDraftSays(_ row: ResumableRow) async throws {
        try await row.check(ResumableScene.shared("resumable-row-\(row.number)"))
    }

    /// Each sentence has one row, or one reason for none.
    @Test func everySentenceIsAccountedFor() {
        let rows = ResumableRow.all.map(\.number)
        let without = ResumableRow.without.keys.flatMap { Array($0) }
        #expect(Set(rows).count == rows.count, "a number stands twice: \(Dictionary(grouping: rows) { $0 }.filter { $1.count > 1 }.keys)")
        #expect(Set(rows).isDisjoint(with: without))
        #expect((rows + without).sorted() == Array(1...110))
        #expect(ResumableRow.all.allSatisfy { !$0.sentence.isEmpty && !$0.section.isEmpty })
    }
}
