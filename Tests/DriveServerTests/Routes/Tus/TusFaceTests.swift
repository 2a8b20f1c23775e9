import DriveModel
import DriveUploads
import HTTPTypes
import Hummingbird
import NIOCore
import Testing

@testable import DriveServer

@Suite struct TusFaceTests {
    private static func request(_ method: HTTPRequest.Method, override: String? = nil) -> Request {
        var head = HTTPRequest(method: method, scheme: "http", authority: "h", path: "/api/tus/x")
        head.headerFields[TusFields.methodOverride] = override
        return Request(head: head, body: RequestBody(buffer: ByteBuffer()))
    }

    @Test(
        arguments: [
            (.post, nil, "POST"), (.post, "PATCH", "PATCH"), (.post, "DELETE", "DELETE"), (.post, "HEAD", "HEAD"), (.post, "FOO", "FOO"),
            (.post, "a b", "POST"), (.post, "", "POST"), (.get, "DELETE", "GET"), (.put, "PATCH", "PATCH"), (.patch, "DELETE", "PATCH"),
        ] as [(HTTPRequest.Method, String?, String)])
    func onlyAPostOrPutStandsForAnother(method: HTTPRequest.Method, override: String?, meant: String) {
        #expect(TusProtocol.method(of: Self.request(method, override: override)).rawValue == meant)
    }

    @Test(
        arguments: [
            ("1.0.0", true, true), ("1.0.0", false, true), (nil, true, false), (nil, false, true), ("0.2.2", true, false),
            ("0.2.2", false, false), ("1.0.0, 1.0.0", true, false), ("", false, false),
        ] as [(String?, Bool, Bool)])
    func versions(text: String?, isRequired: Bool, isAccepted: Bool) {
        var headers = HTTPFields()
        headers[TusFields.resumable] = text
        let found = Result { () throws(DriveError) in try TusProtocol.checkVersion(headers, required: isRequired) }
        switch found {
        case .success: #expect(isAccepted)
        case .failure(let error): #expect(!isAccepted && error.code == .preconditionFailed)
        }
    }

    @Test(
        arguments: [
            (.patch, .checksumMismatch, 460), (.post, .checksumMismatch, 460), (.patch, .hashMismatch, 422), (.patch, .lengthExceeded, 413),
            (.patch, .offsetMismatch, 409), (.patch, .uploadCompleted, 403), (.patch, .uploadGone, 410), (.patch, .taskExpired, 410),
            (.patch, .uploadTakenOver, 423), (.patch, .uploadBusy, 423), (.patch, .bodyInterrupted, 503), (.patch, .storageFull, 507),
            (.patch, .rateLimited, 429), (.delete, .internalError, 500),
            // What would make a client forget its upload.
            (.head, .internalError, 423), (.head, .databaseUnavailable, 423), (.head, .storageFull, 423), (.head, .rateLimited, 423),
            (.head, .notImplemented, 423), (.head, .requestTimeout, 423), (.head, .uploadBusy, 423), (.head, .unauthenticated, 401),
            (.head, .forbidden, 403), (.head, .taskNotFound, 404), (.head, .uploadGone, 410), (.head, .preconditionFailed, 412),
        ] as [(HTTPRequest.Method, DriveError.Code, Int)])
    func statuses(method: HTTPRequest.Method, code: DriveError.Code, status: Int) throws {
        let error = DriveError(code, "Why.", details: ["offset": 7])
        for request in [Self.request(method), Self.request(.post, override: method.rawValue)] {
            var response = TusFace.face.refuse(error, request, "id")
            TusFace.face.complete(&response, request)
            #expect(response.status.code == status)
            #expect(response.status.reasonPhrase == (status == 460 ? "Checksum Mismatch" : response.status.reasonPhrase))
            #expect(response.headers[TusFields.resumable] == "1.0.0")
            #expect(response.headers[.cacheControl] == "no-store")
            #expect(response.headers[TusFields.version] == (status == 412 ? "1.0.0" : nil))
            #expect(response.headers[TusFields.offset] == (status == 409 ? "7" : nil))
            #expect((response.headers[.retryAfter] != nil) == [423, 503].contains(status))
        }
    }

    @Test func offsetIsToldToAPatchAlone() {
        let error = DriveError(.offsetMismatch, "Why.", details: ["offset": 7])
        for method: HTTPRequest.Method in [.head, .post, .delete] {
            #expect(TusFace.face.refuse(error, Self.request(method), "id").headers[TusFields.offset] == nil)
        }
        let bare = TusFace.face.refuse(DriveError(.offsetMismatch, "Why."), Self.request(.patch), "id")
        #expect(bare.headers[TusFields.offset] == nil)
    }

    @Test func aPatienceThatIsKnownIsKept() {
        for method: HTTPRequest.Method in [.head, .patch] {
            #expect(TusFace.patient(DriveError(.bodyInterrupted, "", retryAfter: 9), method: method).retryAfter == 9)
        }
        #expect(TusFace.patient(DriveError(.rateLimited, "", retryAfter: 9), method: .head).retryAfter == 9)
    }

    @Test func refusedMethodsNameTheAllowedOnes() {
        let error = DriveError(.methodNotAllowed, "", details: ["allowed": ["HEAD", "PATCH"]])
        #expect(TusFace.face.refuse(error, Self.request(.post), "id").headers[.allow] == "HEAD, PATCH")
    }

    @Test func extensionsAreAListWithoutBlanks() {
        #expect(
            TusProtocol.extensions
                == "creation,creation-with-upload,creation-defer-length,expiration,checksum,checksum-trailer,termination,concatenation,"
                + "concatenation-unfinished")
    }

    /// Each address is of this face, whatever stands after it.
    @Test(arguments: [
        ("/api/tus", true), ("/drive/tus/", true), ("/api/tus/x", true), ("/api/tusx", false), ("/tus", false), ("/api/files/tus", false),
        ("//api//tus", true), ("api/tus//x", true), ("/api/uploads/tus", false), ("/api", false), ("/api//", false), ("/", false),
        ("", false),
    ])
    func addresses(path: String, isTus: Bool) {
        #expect((WireFace.at(path)?.path == TusFace.face.path) == isTus)
    }
}
