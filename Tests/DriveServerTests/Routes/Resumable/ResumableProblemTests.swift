import DriveModel
import DriveUploads
import HTTPTypes
import Testing

@testable import DriveServer

@Suite struct ResumableProblemTests {
    private static func problem(
        _ code: DriveError.Code, version: String? = "8", method: HTTPRequest.Method = .patch, path: String = "/api/uploads/t",
        complete: String? = "?1", details: [String: JSONValue] = [:], retryAfter: Int? = nil
    ) -> ResumableProblem {
        var headers: HTTPFields = [ResumableField.offset: "7"]
        headers[ResumableField.interopVersion] = version
        headers[version == "3" ? ResumableField.incomplete : ResumableField.complete] = complete
        return ResumableProblem(
            DriveError(code, "Why.", details: details, retryAfter: retryAfter), method: method, path: path, headers: headers)
    }

    @Test func mismatchNamesBothOffsets() {
        let problem = Self.problem(.offsetMismatch, details: ["offset": 5])
        #expect(problem.status == .conflict)
        #expect(problem.headers[ResumableField.offset] == "5" && problem.headers[ResumableField.complete] == "?0")
        #expect(problem.headers[.contentType] == "application/problem+json")
        let members = problem.members(requestId: "r")
        #expect(members["type"] == "https://iana.org/assignments/http-problem-types#mismatching-upload-offset")
        #expect(members["expected-offset"] == 5 && members["provided-offset"] == 7)
        #expect(members["status"] == 409 && members["code"] == "OFFSET_MISMATCH" && members["detail"] == "Why.")
        #expect(members["requestId"] == "r")
    }

    /// Status and the fragment of the registered type, empty where there is none.
    @Test(arguments: [
        (DriveError.Code.lengthMismatch, "8", 400, "inconsistent-upload-length"), (.lengthExceeded, "8", 400, "inconsistent-upload-length"),
        (.uploadCompleted, "6", 400, "completed-upload"), (.uploadGone, "8", 410, ""), (.uploadGone, "6", 404, ""),
        (.taskExpired, "7", 410, ""), (.taskExpired, "3", 404, ""), (.taskNotFound, "8", 404, ""), (.hashMismatch, "8", 422, ""),
        (.payloadTooLarge, "8", 413, ""), (.unsupportedMediaType, "8", 415, ""), (.storageFailed, "8", 503, ""),
    ])
    func statuses(code: DriveError.Code, version: String, status: Int, type: String) {
        let problem = Self.problem(code, version: version)
        #expect(problem.status.code == status)
        let expected = type.isEmpty ? "about:blank" : "https://iana.org/assignments/http-problem-types#" + type
        #expect(problem.members(requestId: "")["type"] == .string(expected))
        #expect((problem.headers[ResumableField.acceptPatch] == "application/partial-upload") == (status == 415))
    }

    /// A client takes a passing fault of HEAD, as any answer but 423, for the end of the upload.
    @Test(arguments: [DriveError.Code.databaseUnavailable, .rateLimited, .uploadBusy, .requestTimeout, .storageFull])
    func passingFaultsOfHead(code: DriveError.Code) {
        let head = Self.problem(code, method: .head, complete: nil)
        #expect(head.status.code == 423 && head.headers[.retryAfter] == "1")
        #expect(Self.problem(code, method: .head, retryAfter: 9).headers[.retryAfter] == "9")
        if code != .uploadBusy { #expect(Self.problem(code).status.code != 423) }
    }

    @Test func lastingRefusalsOfHeadStay() {
        for (code, status) in [(DriveError.Code.taskNotFound, 404), (.unauthenticated, 401), (.uploadGone, 410), (.forbidden, 403)] {
            #expect(Self.problem(code, method: .head).status.code == status)
        }
        #expect(Self.problem(.unauthenticated).headers[.wwwAuthenticate] == "Bearer realm=\"drive\"")
    }

    /// Complete says that the answer is about the file, and that there is nothing to resume.
    @Test(arguments: [
        (DriveError.Code.hashMismatch, HTTPRequest.Method.patch, String?.some("?1")), (.hashMismatch, .post, "?1"),
        (.offsetMismatch, .patch, "?0"), (.storageFailed, .patch, "?0"), (.poolPolicy, .patch, "?0"),
        (.poolPolicy, .post, "?1"), (.quotaExceeded, .put, "?1"), (.fileTooLarge, .post, "?1"), (.payloadTooLarge, .post, "?0"),
        (.lengthMismatch, .post, "?0"), (.checksumMismatch, .post, "?0"), (.rateLimited, .post, "?0"), (.databaseUnavailable, .put, "?0"),
        (.taskNotFound, .get, nil), (.taskNotFound, .delete, nil), (.taskNotFound, .head, nil),
    ])
    func completeness(code: DriveError.Code, method: HTTPRequest.Method, expected: String?) {
        let path = method == .post || method == .put ? "/api/uploads" : "/api/uploads/t"
        let problem = Self.problem(code, method: method, path: path, complete: "?0")
        #expect(problem.headers[ResumableField.complete] == expected)
        let first = Self.problem(code, version: "3", method: method, path: path, complete: "?1")
        #expect(first.headers[ResumableField.incomplete] == expected.map { $0 == "?1" ? "?0" : "?1" })
        #expect(first.headers[ResumableField.complete] == nil)
    }

    @Test func anOrdinaryUploadHearsNothingOfTheProtocol() {
        let problem = Self.problem(.poolPolicy, version: nil, method: .post, path: "/drive/uploads/", complete: nil)
        #expect(problem.isCreation && problem.status == .forbidden)
        #expect(problem.headers[ResumableField.complete] == nil && problem.headers[ResumableField.offset] == nil)
    }

    @Test func methodNotAllowedNamesTheMethods() {
        let problem = Self.problem(.methodNotAllowed, method: .post, details: ["allowed": ["GET", "PATCH"]])
        #expect(problem.status == .methodNotAllowed && problem.headers[.allow] == "GET, PATCH")
        #expect(Self.problem(.invalidRequest).headers[.allow] == nil)
    }
}
