import DriveModel
import Foundation
import Testing

@testable import DriveServer

/// What a client is told of a body that does not fit: the field, what is wanted there, and what came.
@Suite struct JSONFaultTests {
    private static let types = TaskType.allCases.map(\.rawValue).joined(separator: ", ")

    private func fault<Value: Decodable>(_ text: String, as type: Value.Type) throws -> DriveError {
        let body = Data(text.utf8)
        let error = try #require(throws: DecodingError.self) { try DriveJSON.decoder().decode(type, from: body) }
        return JSONFault.driveError(error, body: body) { _ = try DriveJSON.decoder().decode(type, from: $0) }
    }

    @Test(arguments: [
        (#"{"type":"Custom","priority":1.5}"#, "priority", "must be a whole number, not 1.5"),
        (#"{"type":"Custom","max_attempts":2.5}"#, "maxAttempts", "must be a whole number, not 2.5"),
        (#"{"type":"Custom","priority":1e30}"#, "priority", "must be a whole number, not 1e+30"),
        (#"{"type":"Custom","priority":18446744073709551615}"#, "priority", "must be a whole number, not 18446744073709551615"),
        // Fractions where they may be are not taken for the wrong one.
        (#"{"type":"Custom","parameters":{"a":0.5,"b_c":[1.5]},"priority":2.5}"#, "priority", "must be a whole number, not 2.5"),
        (#"{"type":"Custom","priority":"high"}"#, "priority", "must be a whole number, not a text"),
        (#"{"type":"Custom","priority":true}"#, "priority", "must be a whole number, not true"),
        (#"{"type":"Custom","dependsOn":"a"}"#, "dependsOn", "must be a list, not a text"),
        (#"{"type":"Custom","depends_on":[1]}"#, "dependsOn.0", "must be a text, not 1"),
        (#"{"type":"Custom","parameters":[]}"#, "parameters", "must be an object, not a list"),
        (#"{"type":5}"#, "type", "must be a text, not 5"), (#"{"type":null}"#, "type", "must not be null"), (#"{}"#, "type", "is missing"),
        (#"{"type":"custom"}"#, "type", "must be one of \(types), not custom"),
        (#"{"type":"Custom","runAt":"soon"}"#, "runAt", "cannot be read: it must be an RFC 3339 time such as 2026-01-31T12:00:00Z"),
    ])
    func namesTheFieldOfATask(body: String, field: String, what: String) throws {
        let error = try fault(body, as: Exactly<CreateTaskRequest>.self)
        #expect(error.code == .invalidRequest)
        #expect(error.message == "The field \(field) \(what).")
        #expect(error.details["rule"] == .string(field))
    }

    @Test(arguments: [
        (##"{"name":"b","tasks":[{"type":"Custom","parameters":{"x":0.5}},{"type":"Custom","priority":1.5}]}"##, "tasks.1.priority"),
        (#"{"name":"b","tasks":[{"type":"Custom"},{"type":"Nope"}]}"#, "tasks.1.type"), (#"{"name":"b","tasks":[5]}"#, "tasks.0"),
    ])
    func namesTheFieldOfABatch(body: String, field: String) throws {
        #expect(try fault(body, as: TaskBatchRequest.self).details["rule"] == .string(field))
    }

    @Test func aWrongWordComesWithTheRightOnes() throws {
        let error = try fault(#"{"type":"Nothing"}"#, as: CreateTaskRequest.self)
        #expect(error.details["allowed"] == .array(TaskType.allCases.map { .string($0.rawValue) }))
        let long = String(repeating: "x", count: 1000)
        #expect(try !fault(#"{"type":"\#(long)"}"#, as: CreateTaskRequest.self).message.contains("xxx"))
    }

    /// A text that came in the wrong place may be a secret.
    @Test func textsAreNotRepeated() throws {
        #expect(try !fault(#"{"leaseId":"l","progress":"hunter2"}"#, as: TaskProgressRequest.self).message.contains("hunter2"))
    }

    @Test(arguments: [("{", "The body is not JSON in UTF-8 (RFC 8259)."), ("[]", "The body is not the JSON object this route takes.")])
    func aBodyThatIsNoObjectIsNamed(body: String, message: String) throws {
        let error = try fault(body, as: CreateTaskRequest.self)
        #expect(error.message == message)
        #expect(error.details["rule"] == "json")
    }
}
