import DriveEvents
import DriveModel
import HummingbirdCore
import NIOCore
import Testing

@testable import DriveServer

/// What a client asks of its stream: nothing that it says is passed over.
@Suite struct LiveOptionsTests {
    struct Query: Sendable {
        var text: String
        /// The field `Last-Event-ID`.
        var field: String?
        var since: Int64?
        var types: Set<String>?
        var tasks: Set<String>?

        func options() throws(DriveError) -> LiveOptions {
            try LiveEntrance.options(of: URI(text.isEmpty ? "/ws" : "/ws?" + text), lastEventId: field)
        }
    }

    @Test(arguments: [
        Query(text: ""), Query(text: "token=x&since=0", since: 0), Query(text: "types=task.*,", types: ["task.*"]),
        Query(text: "types=a,b&task=x&task=y&task=x", types: ["a", "b"], tasks: ["x", "y"]),
        // The field outweighs the query's lastEventId, and that outweighs since; empty they are none.
        Query(text: "since=1&lastEventId=2", field: "3", since: 3), Query(text: "since=1&lastEventId=2", field: "", since: 2),
        Query(text: "since=1&lastEventId=", field: "", since: 1), Query(text: "since=1&lastEventId=", field: "3", since: 3),
        Query(text: "lastEventId=", field: ""),
    ])
    func aQueryIsRead(_ query: Query) throws {
        let options = try query.options()
        #expect(options.since == query.since)
        #expect(options.filter == EventFilter(taskIds: query.tasks, types: query.types))
    }

    @Test(
        arguments: [
            ("since=", nil, "since"), ("since", nil, "since"), ("since=x", nil, "since"), ("since=-1", nil, "since"),
            ("since=1&since=2", nil, "since"), ("since=1&since=", nil, "since"), ("since=x&lastEventId=1", nil, "since"),
            ("lastEventId=abc", nil, "lastEventId"), ("lastEventId=-1", nil, "lastEventId"),
            ("lastEventId=1&lastEventId=2", nil, "lastEventId"), ("since=1&lastEventId=x", "2", "lastEventId"),
            ("since=1&lastEventId=2", "abc", "Last-Event-ID"), ("", "1, 2", "Last-Event-ID"), ("", "-1", "Last-Event-ID"),
            ("types=", nil, "types"), ("types", nil, "types"), ("types=,", nil, "types"), ("types=a&types=b", nil, "types"),
            ("task=", nil, "task"), ("task=x&task=", nil, "task"),
            ((0...LiveOptions.mostTasks).map { "task=\($0)" }.joined(separator: "&"), nil, "task"),
            ("deviceId=", nil, "deviceId"), ("deviceId=x", nil, "deviceId"),
            ("deviceId=7c9f0f4e-5b0a-4a39-9f6a-0f3a1c1d2e3f&deviceId=7c9f0f4e-5b0a-4a39-9f6a-0f3a1c1d2e3f", nil, "deviceId"),
        ] as [(String, String?, String)])
    func aMalformedQueryIsRefusedByTheNameOfWhatIsWrong(text: String, field: String?, rule: String) {
        let error = #expect(throws: DriveError.self) { try Query(text: text, field: field).options() }
        #expect(error?.code == .invalidRequest && error?.details["rule"]?.string == rule, "\(String(describing: error))")
        #expect(error?.message.hasPrefix(rule + " ") == true, "\(error?.message ?? "")")
    }

    // MARK: Messages

    /// An option that is misspelt would be a filter that filters nothing, also while signing in.
    @Test(arguments: [
        (#"{"type":"auth","token":"t","task":"x"}"#, "task"), (#"{"type":"auth","token":"t","filter":["a"]}"#, "filter"),
        (#"{"type":"auth","token":"t","data":{"task":"x"}}"#, "task"), (#"{"type":"auth","token":"t","data":{},"task":"x"}"#, "task"),
        (#"{"type":"auth","data":{"token":"t","endpoint":"drive"}}"#, "endpoint"), (#"{"type":"auth","Token":"t"}"#, "Token"),
        (#"{"type":"auth","token":"t","lastEventId":3}"#, "lastEventId"),
        (#"{"type":"subscribe","data":{"types":["a"]},"task":"x"}"#, "task"), (#"{"type":"subscribe","since":3}"#, "since"),
    ])
    func anUnknownOptionOfAMessageIsRefused(text: String, option: String) {
        let error = #expect(throws: DriveError.self) { try LiveRequest(ByteBuffer(string: text)) }
        #expect(error?.code == .invalidRequest && error?.details == ["rule": "option", "option": .string(option)])
        let known = text.contains("auth") ? "deviceId, since, taskIds, token, types" : "taskIds, types"
        #expect(error?.message == "There is no option \"\(option)\"; there are: \(known).")
    }

    @Test(arguments: [
        (#"{"type":"auth","token":"t","types":[]}"#, "types"), (#"{"type":"auth","token":"t","data":{"types":[]}}"#, "types"),
        (#"{"type":"auth","token":"t","taskIds":[]}"#, "taskIds"), (#"{"type":"auth","token":"t","taskIds":[""]}"#, "taskIds"),
        (#"{"type":"auth","token":"t","since":-1}"#, "since"), (#"{"type":"auth","token":"t","deviceId":""}"#, "deviceId"),
        (#"{"type":"subscribe","data":{"types":[]}}"#, "types"), (#"{"type":"subscribe","data":{"taskIds":[]}}"#, "taskIds"),
    ])
    func anEmptyListIsRefused(text: String, rule: String) {
        let error = #expect(throws: DriveError.self) { try LiveRequest(ByteBuffer(string: text)) }
        #expect(error?.code == .invalidRequest && error?.details["rule"]?.string == rule, "\(String(describing: error))")
    }

    /// Beside the token or in `data`, in either spelling, and framed as a gateway does it.
    @Test(arguments: [
        #"{"type":"auth","token":"t","since":3,"types":["a"],"taskIds":["x"]}"#,
        #"{"type":"auth","data":{"token":"t","since":3,"types":["a"],"task_ids":["x"]},"endpoint":"drive","error_message":null}"#,
        #"{"type":"auth","token":"t","deviceId":null,"data":{"since":3,"types":["a"],"taskIds":["x"]},"errorMessage":"none"}"#,
    ])
    func aSignInIsRead(text: String) throws {
        let expected = LiveRequest.auth(token: "t", try LiveOptions(since: 3, types: ["a"], taskIds: ["x"]))
        #expect(try LiveRequest(ByteBuffer(string: text)) == expected)
        // The specification's client says its token alone.
        #expect(try LiveRequest(ByteBuffer(string: #"{"type":"auth","token":"t"}"#)) == .auth(token: "t", .none))
    }
}
