import DriveModel
import Testing

@testable import DriveServer

@Suite struct FailureReportTests {
    /// What a stranger can cause as often as he likes has no line per request.
    @Test(
        arguments: [
            (.internalError, true), (.databaseUnavailable, true), (.storageFailed, true),
            (.issuerUnavailable, false), (.unauthenticated, false), (.rateLimited, false), (.notFound, false),
        ] as [(DriveError.Code, Bool)])
    func whatIsLoggedPerRequest(code: DriveError.Code, isReported: Bool) {
        #expect(RequestGate.isReported(DriveError(code, "")) == isReported)
    }
}
