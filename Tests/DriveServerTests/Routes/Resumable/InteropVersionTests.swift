import HTTPTypes
import Testing

@testable import DriveServer

@Suite struct InteropVersionTests {
    /// One row of the table of differences between the drafts.
    struct Row: Sendable, CustomTestStringConvertible {
        var number: Int64?
        var field = "Upload-Complete"
        var interim = true
        var progress = true
        var ageLimit: String?
        var mediaType = true
        var refusesElsewhere = false
        var refusesLength = false
        var emptyCreation = false
        var replays = false
        var excessForLength = false
        var comparesOffset = false
        var invalidates = true
        var status = 204
        var leadsToUpload = false
        var hidesGone = false

        var testDescription: String { number.map(String.init) ?? "final" }
    }

    static let table = [
        Row(
            number: 3, field: "Upload-Incomplete", progress: false, mediaType: false, refusesElsewhere: true, replays: true,
            comparesOffset: true,
            invalidates: false, status: 201, leadsToUpload: true, hidesGone: true),
        Row(
            number: 4, progress: false, mediaType: false, refusesElsewhere: true, replays: true, comparesOffset: true, invalidates: false,
            status: 201,
            leadsToUpload: true, hidesGone: true),
        Row(
            number: 5, mediaType: false, refusesElsewhere: true, emptyCreation: true, replays: true, comparesOffset: true,
            invalidates: false, status: 201,
            leadsToUpload: true, hidesGone: true),
        Row(
            number: 6, ageLimit: "expires", refusesElsewhere: true, refusesLength: true, emptyCreation: true, invalidates: false,
            status: 201, leadsToUpload: true, hidesGone: true),
        Row(number: 7, ageLimit: "max-age"),
        Row(number: 8, ageLimit: "max-age", replays: true, excessForLength: true),
        Row(number: nil, interim: false, progress: false, ageLimit: "max-age", replays: true, excessForLength: true),
    ]

    @Test(arguments: table) func rules(_ row: Row) {
        let version = InteropVersion(number: row.number)
        #expect(version.number == row.number)
        #expect(version.completenessField.rawName == row.field)
        #expect(version.sendsInterim == row.interim)
        #expect(version.reportsProgress == row.progress)
        #expect(version.announcesLimits == (row.ageLimit != nil))
        if let name = row.ageLimit { #expect(version.ageLimit == name) }
        #expect(version.requiresMediaType == row.mediaType)
        #expect(version.refusesTransferFieldsElsewhere == row.refusesElsewhere)
        #expect(version.refusesLengthAtRetrieval == row.refusesLength)
        #expect(version.completesEmptyCreation == row.emptyCreation)
        #expect(version.replaysCompletion == row.replays)
        #expect(version.takesExcessForLength == row.excessForLength)
        #expect(version.comparesOffsetOfComplete == row.comparesOffset)
        #expect(version.invalidatesOverlong == row.invalidates)
        #expect(version.appendedStatus.code == row.status)
        #expect(version.leadsToUpload == row.leadsToUpload)
        #expect(version.hidesGoneUploads == row.hidesGone)
    }

    /// A version that is unknown or malformed, and none, is the final form (-11, appendix B).
    @Test(arguments: [
        ("3", Int64?.some(3)), ("8", 8), ("8;a=b", 8), ("08", 8), ("2", nil), ("0", nil), ("9", nil), ("99", nil), ("-8", nil),
        ("abc", nil),
        ("8.0", nil), ("\"8\"", nil), ("8, 8", nil), ("", nil), ("1000000000000000", nil),
    ])
    func isChosenByTheField(text: String, number: Int64?) {
        #expect(InteropVersion([ResumableField.interopVersion: text]).number == number)
        #expect(InteropVersion([:]) == .final)
    }

    @Test(arguments: table) func saysWhatItReads(_ row: Row) {
        let version = InteropVersion(number: row.number)
        for isComplete in [true, false] {
            var headers: HTTPFields = [:]
            version.setComplete(isComplete, in: &headers)
            #expect(headers[version.completenessField] == ((row.number == 3) != isComplete ? "?1" : "?0"))
            #expect(version.isComplete(headers) == isComplete)
        }
        // The other one's field says nothing, and neither does a malformed one.
        let other = row.number == 3 ? ResumableField.complete : ResumableField.incomplete
        #expect(version.isComplete([other: "?1"]) == nil)
        for text in ["true", "1", "?2", "?1, ?1", ""] { #expect(version.isComplete([version.completenessField: text]) == nil) }
    }

    /// An append that does not say whether it completes the upload.
    @Test(arguments: table) func absenceOnAppend(_ row: Row) {
        let version = InteropVersion(number: row.number)
        let isFirst = row.number == 3
        let isTus = row.number == 5 || row.number == 6
        #expect(version.completesByDefault(offset: 5, length: nil, isEmpty: false) == isFirst)
        #expect(version.completesByDefault(offset: 5, length: 5, isEmpty: false) == isFirst)
        #expect(version.completesByDefault(offset: 5, length: 6, isEmpty: true) == isFirst)
        #expect(version.completesByDefault(offset: 5, length: 5, isEmpty: true) == (isFirst || isTus))
    }
}
