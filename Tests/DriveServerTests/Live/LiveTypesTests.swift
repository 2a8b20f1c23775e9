import DriveEvents
import DriveModel
import Testing

@testable import DriveServer

/// Which types of events a client may ask for, and what it is told of them.
@Suite struct LiveTypesTests {
    private static let longest = String(repeating: "x", count: 64)

    /// Whatever a packet's type may be can be asked for.
    @Test(arguments: [
        ("chat", true), ("call_started", true), ("message.new.v2", true), ("message.new.*", true), ("task.*", true), ("a-b:c/d", true),
        ("*", true), (".", true), (longest, true), ("", false), (longest + "x", false), ("a b", false), ("a,b", false), ("a\"b", false),
        ("a\\b", false), ("ü", false), ("a\n", false), ("a\u{0}", false), ("a\u{7F}", false),
    ])
    func aTypeIsWhatAPacketMayBe(type: String, isType: Bool) {
        #expect(((try? RingDesk.check(RingPacket(type: type, data: "{}"))) != nil) == isType)
        #expect((try? LiveOptions.filter(types: [type], taskIds: nil)) == (isType ? EventFilter(types: [type]) : nil))
        let inQuery = try? LiveOptions(query: [("types", Substring("task.*," + type))]).filter
        // A comma stands between two of them there, and what is empty is none.
        #expect(
            inQuery
                == (type == ""
                    ? EventFilter(types: ["task.*"])
                    : type == "a,b"
                        ? EventFilter(types: ["task.*", "a", "b"])
                        : isType ? EventFilter(types: ["task.*", type]) : nil))
    }

    @Test func thereAreOnlySoMany() throws {
        let types = (1...LiveOptions.mostTypes).map { "type.\($0)" }
        #expect(try LiveOptions.filter(types: types, taskIds: nil).types?.count == 50)
        let error = #expect(throws: DriveError.self) { try LiveOptions.filter(types: types + ["more"], taskIds: nil) }
        #expect(error?.code == .invalidRequest && error?.details["rule"] == "types")
    }

    /// Drive knows its own types, and no other program's.
    @Test(
        arguments: [
            (nil, nil), ([], nil), (LiveRequestTypes.known, nil), (["task.*", "notification.*", "quota.*"], nil),
            (["chat", "call_started", "message.new.v2", "message.*", "moon.full", "tasks.*", "a.b.c.*"], nil),
            (["task.complete"], "No event of Drive has the type task.complete; did you mean task.completed?"),
            (["Task.Completed"], "No event of Drive has the type Task.Completed; did you mean task.completed?"),
            (["quota.full", "chat"], "No event of Drive has the type quota.full; there are: quota.warning."),
            (["batch"], "No event of Drive has the type batch; there are: batch.completed."),
            (["batch.completed.*"], "No event of Drive has the type batch.completed.*; there are: batch.completed."),
            (["*"], "The * in * is taken literally: it stands for other types only at the end, after a dot."),
            (["chat*"], "The * in chat* is taken literally: it stands for other types only at the end, after a dot."),
        ] as [(Set<String>?, String?)])
    func ofItsOwnTypesDriveKnowsWhichThereAre(types: Set<String>?, warning: String?) {
        #expect(LiveRequestTypes.warning(types) == warning)
    }

    @Test func aWarningNamesAFew() {
        let warning = LiveRequestTypes.warning(["batch.a", "batch.b", "batch.c", "batch.d", "chat"])
        #expect(warning?.hasPrefix("No event of Drive has the type batch.a; ") == true, "\(warning ?? "")")
        #expect(warning?.hasSuffix("So it is with 1 more.") == true && warning?.contains("batch.d") == false, "\(warning ?? "")")
    }
}
