import DriveModel
import Foundation
import Testing

@testable import DriveEvents

/// What others say in an event is taken within bounds; and what other programs send becomes what they say.
@Suite struct NotificationBoundTests {
    private static let now = Timestamp(seconds: 1_800_000_000)

    private func notification(
        _ type: String, _ data: [String: JSONValue], delivery: [NotificationKind: NotificationDelivery] = [:], isWatching: Bool = false,
        age: Duration = .zero
    ) throws -> RingNotification? {
        NotificationRule.notification(
            for: LiveEvent(sequence: 7, type: type, taskId: data["taskId"]?.string, data: try DriveJSON.text(data)), at: Self.now,
            in: .init(preferences: NotificationPreferences(delivery), isWatching: isWatching, now: Self.now + age))
    }

    private func program(_ data: [String: JSONValue]) throws -> RingNotification? {
        try notification("notification.received", ["topic": "t", "title": "T", "body": "B"].merging(data) { $1 })
    }

    // MARK: Drive's own

    @Test(
        arguments: [
            (.string("f-1"), .string("f-1")), (.string(String(repeating: "f", count: 64)), .string(String(repeating: "f", count: 64))),
            (.string(String(repeating: "f", count: 65)), nil), (.string(String(repeating: "é", count: 33)), nil), (5, nil),
            (["deep": ["er": "x"]], nil), (.array([]), nil), (.null, nil),
        ] as [(JSONValue, JSONValue?)])
    func metaHasShortTextsAlone(value: JSONValue, kept: JSONValue?) throws {
        let told = try #require(
            try notification(
                "task.failed",
                ["taskId": "t", "type": value, "results": ["fileId": value], "errorCode": value, "batchId": value, "percent": value]))
        for name in ["fileId", "taskType", "errorCode", "batchId"] { #expect(told.content.meta?[name] == kept, "\(name)") }
        #expect(told.content.meta?["percent"] == (value == 5 ? 5 : nil))
    }

    /// A character can have any number of bytes.
    @Test func aBodyIsBoundedInBytesToo() throws {
        let heavy = "e" + String(repeating: "\u{301}", count: 999)
        func body(_ name: String) throws -> String {
            try #require(try notification("task.completed", ["taskId": "t", "name": .string(name)])).content.body
        }
        // 1,999 bytes each.
        #expect(try body(String(repeating: heavy, count: 5)) == heavy + heavy)
        #expect(try body("e" + String(repeating: "\u{301}", count: 3000)).isEmpty)
        #expect(try body(String(repeating: "é", count: 1001)) == String(repeating: "é", count: 1000))
        #expect(try body(String(repeating: "é", count: 1000)).count == 1000)
        // Four bytes each: 1,000 of them fit, and no half one.
        #expect(try body(String(repeating: "😀", count: 1100)).utf8.count == 4000)
    }

    /// Only an upload can be a part of another one.
    @Test func aTasksOwnResultsDoNotHideIt() throws {
        for (type, kind) in [("FileUpload", nil), ("Custom", .taskCompleted)] as [(JSONValue, NotificationKind?)] {
            let told = try notification("task.completed", ["taskId": "t", "type": type, "results": ["concatenatedInto": "x"]])
            #expect(told?.kind == kind)
        }
    }

    // MARK: Another program's

    @Test func anotherProgramsWordsAreTaken() throws {
        let told = try #require(
            try program(["subtitle": "S", "meta": ["a": [1, ["b": .null]]], "actionUri": "x://y", "isSavable": true, "isSilent": false]))
        #expect(told.kind == .program && told.collapseKey == "event-7" && told.urgency == .normal && told.isPushed && told.isListed)
        #expect(
            told.content
                == PushNotification(
                    topic: "t", title: "T", subtitle: "S", body: "B", meta: ["a": [1, ["b": .null]]], actionURI: "x://y"))
        // It is no upload, whatever it says.
        let watched = try notification("notification.received", ["type": "FileUpload", "batchId": "b"], isWatching: true)
        #expect(watched?.isListed == true && watched?.isPushed == false && watched?.collapseKey == "event-7")
        #expect(watched?.content.topic == "notification.received")
    }

    @Test(arguments: [("topic", 64), ("title", 256), ("subtitle", 256), ("body", 4096)])
    func longTextsAreCutAtACharacter(field: String, limit: Int) throws {
        func text(_ value: String) throws -> String? {
            let content = try program([field: .string(value)])?.content
            return ["topic": content?.topic, "title": content?.title, "subtitle": content?.subtitle, "body": content?.body][field] ?? nil
        }
        let exact = String(repeating: "a", count: limit)
        #expect(try text(exact) == exact)
        #expect(try text(exact + "a") == exact)
        #expect(try text(exact.dropLast() + "é") == String(exact.dropLast()))
    }

    @Test func whatCannotBeCutIsLeftOut() throws {
        let address = "https://a.example/" + String(repeating: "a", count: 2048 - 18)
        #expect(try program(["actionUri": .string(address)])?.content.actionURI == address)
        for other in [.string(address + "a"), "", 5, .null] as [JSONValue] {
            #expect(try program(["actionUri": other])?.content.actionURI == nil)
        }
        // {"a":"…"} is eight bytes more.
        let meta: JSONValue = ["a": .string(String(repeating: "b", count: 4096 - 8))]
        #expect(try program(["meta": meta])?.content.meta == meta)
        for other in [["a": .string(String(repeating: "b", count: 4096 - 7))], "text", [1], 5, .null] as [JSONValue] {
            #expect(try program(["meta": other])?.content.meta == nil)
        }
    }

    /// Where it goes, by what it says, what the account chose, and whether somebody watches.
    @Test func anotherProgramSaysWhatIsKept() throws {
        let kinds: [([String: JSONValue], isListed: Bool)] = [
            ([:], true), (["isSavable": false], false), (["isSilent": true], false), (["isSilent": true, "isSavable": false], false),
        ]
        for (data, isListed) in kinds {
            for delivery in NotificationDelivery.allCases {
                for (isWatching, age) in [(false, .zero), (true, .zero), (false, .seconds(86_400))] as [(Bool, Duration)] {
                    let told = try notification(
                        "notification.received", data.merging(["title": "T"]) { $1 }, delivery: [.program: delivery],
                        isWatching: isWatching, age: age)
                    let isPushed = delivery == .push && !isWatching && age == .zero
                    let place: Comment = "\(data) \(delivery) watching: \(isWatching), \(age)"
                    #expect((told != nil) == (delivery != .off && (isListed || isPushed)), place)
                    guard let told else { continue }
                    #expect(told.isListed == isListed && told.isPushed == isPushed, place)
                    #expect(told.content.isSilent == (data["isSilent"] != nil), place)
                    #expect(told.content.isSavable == (data["isSavable"] == nil), place)
                    #expect(told.urgency == (told.content.isSilent ? .low : .normal), place)
                }
            }
        }
    }
}
