import HTTPTypes

/// Which edition of draft-ietf-httpbis-resumable-upload a request speaks: all that differs between them is asked here.
///
/// An upload has no version, each request has: a device may be updated between two of them. A request without the version's field, or
/// with an unknown version, gets the final form: the newest text without what only drafts have.
struct InteropVersion: Hashable, Sendable {
    /// Drafts -01, -02, -03, -04 and -05, -06 to -08, -09 to -11.
    static let drafts: ClosedRange<Int64> = 3...8
    static let final = InteropVersion(number: nil)

    /// nil: the final form.
    let number: Int64?

    init(number: Int64?) {
        self.number = number.flatMap { Self.drafts.contains($0) ? $0 : nil }
    }

    init(_ headers: HTTPFields) {
        self.init(number: headers[ResumableField.interopVersion].flatMap(StructuredField.nonNegativeInteger))
    }

    private var order: Int64 { number ?? .max }

    // MARK: Fields

    /// What says whether a request or response is about the end of the upload.
    var completenessField: HTTPField.Name { order == 3 ? ResumableField.incomplete : ResumableField.complete }

    /// Whether the sender says that the upload is whole with this message; nil where it says nothing that can be read.
    func isComplete(_ headers: HTTPFields) -> Bool? {
        headers[completenessField].flatMap(StructuredField.boolean).map { order == 3 ? !$0 : $0 }
    }

    func setComplete(_ isComplete: Bool, in headers: inout HTTPFields) {
        headers[completenessField] = StructuredField.text(order == 3 ? !isComplete : isComplete)
    }

    /// `Upload-Limit`, since -04.
    var announcesLimits: Bool { order >= 6 }
    /// The member of `Upload-Limit` for the seconds an upload has left.
    var ageLimit: String { order == 6 ? "expires" : "max-age" }
    /// Requests for the offset and DELETE must not carry fields of a transfer (-01 to -05, section on offset retrieval).
    var refusesTransferFieldsElsewhere: Bool { order <= 6 }
    /// Of those also `Upload-Length`, in a request for the offset (-05).
    var refusesLengthAtRetrieval: Bool { order == 6 }

    // MARK: Interim responses

    /// `104`: only where the request names a draft (-11, appendix B).
    var sendsInterim: Bool { number != nil }
    /// Further `104` with the offset while the body comes, since -03.
    var reportsProgress: Bool { sendsInterim && order >= 5 }

    // MARK: Appends

    /// An append must be of `application/partial-upload`, since -04.
    var requiresMediaType: Bool { order >= 6 }

    /// What an append without the completeness field means.
    ///
    /// tus-js-client, which speaks 5 and 6, ends a stream whose last piece was full with an empty append that has a length alone.
    func completesByDefault(offset: Int64, length: Int64?, isEmpty: Bool) -> Bool {
        switch order {
        case 3: true
        case 5, 6: isEmpty && length == offset
        default: false
        }
    }

    /// tus-js-client never says that an empty file is complete. By the text it would stay open forever.
    var completesEmptyCreation: Bool { order == 5 || order == 6 }
    /// An append that says nothing new to a complete upload gets its final response again (-12); before it is refused.
    ///
    /// Until -03 no rule forbids it, and a client whose answer got lost has no other way to learn that all is well.
    var replaysCompletion: Bool { order >= 8 || order <= 5 }
    /// Any bytes for a complete upload are a matter of its length (-10 on), not of its state.
    var takesExcessForLength: Bool { order >= 8 }
    /// A wrong offset is the first thing that is wrong with an append to a complete upload, until -04.
    var comparesOffsetOfComplete: Bool { order <= 5 }
    /// A body that runs past the length ends the upload (-08 on).
    var invalidatesOverlong: Bool { order >= 7 }

    // MARK: Final responses

    /// The acknowledgement of an append after which more comes.
    var appendedStatus: HTTPResponse.Status { order <= 6 ? .created : .noContent }
    /// Where the answer to a complete upload leads: to the upload (until -05), or to the file.
    var leadsToUpload: Bool { order <= 6 }
    /// `404` for an upload that is gone too, until -05.
    var hidesGoneUploads: Bool { order <= 6 }
}
