import DriveModel
import Foundation
import HummingbirdCore
import Testing

@testable import DriveServer

/// The character U+0000 is refused before it reaches a database.
@Suite struct StoredTextTests {
    /// A refused one's rule; empty: nothing is refused.
    @Test(arguments: [
        ("/api/tasks?kind=%00", "kind"), ("/api/tasks?kind=a%00b&limit=1", "kind"), ("/api/files/me?limit=1&query=%00", "query"),
        ("/api/tasks?unknown=%00", "unknown"), ("/api/tasks?kind=%2500", ""), ("/api/tasks?kind=%0", ""), ("/api/tasks?kind=a%20b", ""),
        ("/api/tasks", ""), ("/api/tasks/%00", ""),
        // Its own rule says more.
        ("/api/files/upload/direct?fileName=%00", ""), ("/api/files/upload/direct?fileName=%00&hash=%00", "hash"),
    ])
    func queries(uri: String, rule: String) {
        expect(rule) { () throws(DriveError) in try StoredText.check(URI(uri)) }
    }

    @Test(arguments: [
        (#"{"leaseId":"a\u0000"}"#, "leaseId"), (#"{"parameters":{"a":[{"b\u0000":1}]}}"#, "parameters"), (#"{"a":"\\u0000"}"#, ""),
        (#"{"a":"\\\u0000"}"#, "a"), (#"{"name":"\u0000"}"#, ""), (#"{"name":"\u0000","kind":"\u0000"}"#, "kind"), ("{}", ""), ("", ""),
    ])
    func bodies(body: String, rule: String) {
        expect(rule) { () throws(DriveError) in try StoredText.check(Data(body.utf8)) }
    }

    private func expect(_ rule: String, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws(DriveError) -> Void) {
        do {
            try body()
            #expect(rule.isEmpty, sourceLocation: sourceLocation)
        } catch {
            #expect(error.code == .invalidRequest, sourceLocation: sourceLocation)
            #expect(error.details["rule"] == .string(rule), sourceLocation: sourceLocation)
        }
    }
}
