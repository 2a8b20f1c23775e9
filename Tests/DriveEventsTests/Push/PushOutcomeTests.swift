import DriveModel
import Foundation
import Testing

@testable import DriveEvents

/// What each provider's answers mean: the whole table of each.
@Suite struct PushOutcomeTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var status: Int
        var body = ""
        var retryAfter: String?
        var outcome: PushOutcome

        init(_ status: Int, _ body: String = "", retryAfter: String? = nil, is outcome: PushOutcome) {
            self.status = status
            self.body = body
            self.retryAfter = retryAfter
            self.outcome = outcome
        }

        var testDescription: String { "\(status) \(body.prefix(60)) \(retryAfter ?? "")" }

        var response: PushResponse {
            PushResponse(status: status, headers: retryAfter.map { [PushHeader("Retry-After", $0)] } ?? [], body: Array(body.utf8))
        }
    }

    /// 2026-11-21T12:00:00Z.
    static let now = Timestamp(seconds: 1_795_262_400)

    @Test(arguments: [
        Case(200, is: .delivered), Case(201, is: .delivered), Case(202, is: .delivered), Case(204, is: .delivered),
        Case(404, is: .unregistered), Case(410, "gone", is: .unregistered),
        Case(400, is: .refused(reason: "400")), Case(413, is: .refused(reason: "413")), Case(405, is: .refused(reason: "405")),
        Case(400, #"{"reason":"BadTtl"}"#, is: .refused(reason: "400 BadTtl")),
        Case(401, is: .credentials(reason: "401")), Case(403, #"{"reason":"BadJwtToken"}"#, is: .credentials(reason: "403 BadJwtToken")),
        Case(429, retryAfter: "120", is: .retry(after: .seconds(120), reason: "429")),
        Case(429, is: .retry(after: nil, reason: "429")), Case(408, is: .retry(after: nil, reason: "408")),
        Case(500, is: .retry(after: nil, reason: "500")), Case(502, "<html>", is: .retry(after: nil, reason: "502")),
        Case(503, retryAfter: "Sat, 21 Nov 2026 12:01:30 GMT", is: .retry(after: .seconds(90), reason: "503")),
        // A redirect is not followed.
        Case(301, is: .refused(reason: "301")), Case(307, is: .refused(reason: "307")), Case(100, is: .refused(reason: "100")),
        // What an endpoint says is the subscriber's word: it does not get into the log.
        Case(400, #"{"reason":"x\nERROR disk full"}"#, is: .refused(reason: "400")),
        Case(400, #"{"reason":"\#(String(repeating: "a", count: 65))"}"#, is: .refused(reason: "400")),
        Case(400, #"{"reason":5}"#, is: .refused(reason: "400")), Case(400, "[", is: .refused(reason: "400")),
    ])
    func webPush(_ testCase: Case) {
        #expect(WebPushProvider.outcome(testCase.response, now: Self.now) == testCase.outcome)
    }

    @Test(arguments: [
        Case(200, is: .delivered),
        Case(400, #"{"reason":"BadDeviceToken"}"#, is: .refused(reason: "400 BadDeviceToken")),
        Case(
            410, #"{"reason":"Unregistered","timestamp":1795000000123}"#,
            is: .unregistered(since: Timestamp(microseconds: 1_795_000_000_123_000))),
        Case(410, #"{"reason":"ExpiredToken"}"#, is: .unregistered), Case(410, is: .unregistered),
        Case(410, #"{"reason":"Unregistered","timestamp":9223372036854775807}"#, is: .unregistered),
        Case(410, #"{"reason":"Unregistered","timestamp":-1}"#, is: .unregistered),
        Case(400, #"{"reason":"BadCollapseId"}"#, is: .refused(reason: "400 BadCollapseId")),
        Case(400, #"{"reason":"DeviceTokenNotForTopic"}"#, is: .refused(reason: "400 DeviceTokenNotForTopic")),
        Case(400, #"{"reason":"IdleTimeout"}"#, is: .retry(after: nil, reason: "400 IdleTimeout")),
        Case(400, #"{"reason":"TopicDisallowed"}"#, is: .credentials(reason: "400 TopicDisallowed")),
        Case(400, #"{"reason":"BadTopic"}"#, is: .credentials(reason: "400 BadTopic")),
        Case(403, #"{"reason":"InvalidProviderToken"}"#, is: .credentials(reason: "403 InvalidProviderToken")),
        Case(403, #"{"reason":"ExpiredProviderToken"}"#, is: APNsProvider.expiredToken),
        Case(403, is: .credentials(reason: "403")),
        Case(404, #"{"reason":"BadPath"}"#, is: .refused(reason: "404 BadPath")),
        Case(413, #"{"reason":"PayloadTooLarge"}"#, is: .refused(reason: "413 PayloadTooLarge")),
        Case(429, #"{"reason":"TooManyRequests"}"#, retryAfter: "5", is: .retry(after: .seconds(5), reason: "429 TooManyRequests")),
        Case(429, #"{"reason":"TooManyProviderTokenUpdates"}"#, is: .retry(after: nil, reason: "429 TooManyProviderTokenUpdates")),
        Case(500, #"{"reason":"InternalServerError"}"#, is: .retry(after: nil, reason: "500 InternalServerError")),
        Case(503, #"{"reason":"Shutdown"}"#, is: .retry(after: nil, reason: "503 Shutdown")),
    ])
    func apns(_ testCase: Case) {
        #expect(APNsProvider.outcome(testCase.response, now: Self.now) == testCase.outcome)
    }

    /// An error as FCM gives it.
    private static func fcmError(_ status: String, code: String? = nil, field: String? = nil) -> String {
        var details: [String] = []
        if let code { details.append(#"{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"\#(code)"}"#) }
        if let field {
            details.append(
                #"{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"\#(field)","description":"x"}]}"#)
        }
        return #"{"error":{"code":1,"message":"m","status":"\#(status)","details":[\#(details.joined(separator: ","))]}}"#
    }

    @Test(arguments: [
        Case(200, #"{"name":"projects/p/messages/1"}"#, is: .delivered),
        Case(404, fcmError("NOT_FOUND", code: "UNREGISTERED"), is: .unregistered), Case(404, fcmError("NOT_FOUND"), is: .unregistered),
        // The address is wrong, not the device.
        Case(404, "<html>", is: .refused(reason: "404")),
        Case(400, fcmError("INVALID_ARGUMENT", code: "INVALID_ARGUMENT", field: "message.token"), is: .unregistered),
        Case(400, fcmError("INVALID_ARGUMENT", field: "message.data"), is: .refused(reason: "400 INVALID_ARGUMENT")),
        Case(400, #"{"error":{"details":{"errorCode":"UNREGISTERED"}}}"#, is: .refused(reason: "400")),
        Case(400, #"{"error":"invalid"}"#, is: .refused(reason: "400")),
        Case(401, fcmError("UNAUTHENTICATED"), is: FCMProvider.unauthenticated),
        Case(401, fcmError("UNAUTHENTICATED", code: "THIRD_PARTY_AUTH_ERROR"), is: .credentials(reason: "401 THIRD_PARTY_AUTH_ERROR")),
        Case(403, fcmError("PERMISSION_DENIED"), is: .credentials(reason: "403 PERMISSION_DENIED")),
        Case(403, fcmError("PERMISSION_DENIED", code: "SENDER_ID_MISMATCH"), is: .refused(reason: "403 SENDER_ID_MISMATCH")),
        Case(429, fcmError("RESOURCE_EXHAUSTED", code: "QUOTA_EXCEEDED"), is: .retry(after: .seconds(60), reason: "429 QUOTA_EXCEEDED")),
        Case(429, fcmError("x"), retryAfter: "7", is: .retry(after: .seconds(7), reason: "429 x")),
        Case(500, fcmError("INTERNAL", code: "INTERNAL"), is: .retry(after: nil, reason: "500 INTERNAL")),
        Case(
            503, fcmError("UNAVAILABLE", code: "UNAVAILABLE"), retryAfter: "30", is: .retry(after: .seconds(30), reason: "503 UNAVAILABLE")),
    ])
    func fcm(_ testCase: Case) {
        #expect(FCMProvider.outcome(testCase.response, now: Self.now) == testCase.outcome)
    }

    @Test(arguments: [
        Case(400, #"{"error":"invalid_grant"}"#, is: .credentials(reason: "token 400 invalid_grant")),
        Case(401, #"{"error":"invalid_client"}"#, is: .credentials(reason: "token 401 invalid_client")),
        Case(404, "", is: .credentials(reason: "token 404")),
        Case(429, "", retryAfter: "9", is: .retry(after: .seconds(9), reason: "token 429")),
        Case(500, "", is: .retry(after: nil, reason: "token 500")),
        Case(200, "", is: .retry(after: nil, reason: "token answer-invalid")),
        Case(200, #"{"access_token":""}"#, is: .retry(after: nil, reason: "token answer-invalid")),
        Case(200, #"{"access_token":"a\r\nx: y"}"#, is: .retry(after: nil, reason: "token answer-invalid")),
    ])
    func grants(_ testCase: Case) {
        let failure = #expect(throws: PushOutcome.Failure.self) { try FCMAccessToken.parse(testCase.response, now: Self.now) }
        #expect(failure?.outcome == testCase.outcome)
    }

    @Test(
        arguments: [
            ("0", 1), ("1", 1), ("59", 59), ("3600", 3600), ("3601", 3600), ("99999999999999999999999999", 3600),
            ("Sat, 21 Nov 2026 12:00:10 GMT", 10), ("Sat, 21 Nov 2026 11:00:00 GMT", 1), ("Sun, 21 Nov 2027 12:00:00 GMT", 3600),
            ("", nil), ("-5", nil), ("1.5", nil), ("soon", nil), ("5 s", nil), ("Sat, 31 Feb 2026 12:00:00 GMT", nil),
            ("Sat, 21 Nov 2026 12:00:10 CET", nil), ("Sat, 21 Nov 2026 25:00:10 GMT", nil),
            // The obsolete forms are to be read too.
            ("Saturday, 21-Nov-26 12:00:10 GMT", 10), ("Sat Nov 21 12:00:10 2026", 10), ("Sat, 01 Jan 0000 00:00:00 GMT", 1),
            ("Sat, 21 Nov 2026 12:00:10+01:00 GMT", nil), ("２", nil),
        ] as [(String, Int?)])
    func retryAfter(_ value: String, seconds: Int?) {
        #expect(RetryAfter.delay(value, now: Self.now) == seconds.map { .seconds($0) })
    }

    @Test func requestsWithoutAnAnswerAreTriedAgain() {
        #expect(PushOutcome(transportFailure: PushTransportError.timedOut) == .retry(after: nil, reason: "timed-out"))
        #expect(PushOutcome(transportFailure: PushTransportError.unreachable) == .retry(after: nil, reason: "unreachable"))
        #expect(PushOutcome(transportFailure: CancellationError()) == .retry(after: nil, reason: "cancelled"))
        #expect(PushOutcome(transportFailure: PushTransportError.addressRefused) == .refused(reason: "address-refused"))
    }
}
