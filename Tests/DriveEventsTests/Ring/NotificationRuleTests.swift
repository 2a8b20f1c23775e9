import DriveModel
import Foundation
import Testing

@testable import DriveEvents

/// Which events become notifications, and what they say.
@Suite struct NotificationRuleTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var type: String
        var data: [String: JSONValue]
        var kind: NotificationKind?
        var title = ""
        var body = ""

        var testDescription: String { "\(type) \(data["type"]?.string ?? "")" }

        func event(_ sequence: Int64 = 5) throws -> LiveEvent {
            LiveEvent(sequence: sequence, type: type, taskId: data["taskId"]?.string, data: try DriveJSON.text(data))
        }
    }

    private static let now = Timestamp(seconds: 1_800_000_000)
    private static let upload: [String: JSONValue] = ["taskId": "t", "name": "Upload File", "type": "FileUpload"]
    private static let task: [String: JSONValue] = ["taskId": "t", "name": "Tidy up", "type": "BulkOperation"]

    private static func with(_ data: [String: JSONValue], _ more: [String: JSONValue]) -> [String: JSONValue] {
        data.merging(more) { $1 }
    }

    static let cases = [
        Case(
            type: "task.completed", data: with(upload, ["results": ["fileId": "f", "fileName": "a.txt"]]), kind: .uploadCompleted,
            title: "Upload complete", body: "a.txt"),
        Case(type: "task.completed", data: with(upload, ["results": ["concatenatedInto": "u"]]), kind: nil),
        Case(type: "task.failed", data: with(upload, ["errorMessage": "gone"]), kind: .uploadFailed, title: "Upload failed", body: "gone"),
        Case(type: "task.expired", data: with(upload, [:]), kind: .uploadFailed, title: "Upload expired", body: "Upload File"),
        Case(type: "task.completed", data: task, kind: .taskCompleted, title: "Task complete", body: "Tidy up"),
        Case(
            type: "task.failed", data: with(task, ["errorMessage": "no room", "errorCode": "STORAGE_FULL"]), kind: .taskFailed,
            title: "Task failed", body: "Tidy up: no room"),
        Case(type: "task.expired", data: task, kind: .taskFailed, title: "Task expired", body: "Tidy up"),
        Case(
            type: "batch.completed",
            data: ["batchId": "b", "name": "All", "totalTasks": 3, "completedTasks": 3, "failedTasks": 0, "cancelledTasks": 0],
            kind: .batchCompleted, title: "Batch complete", body: "All: all 3 tasks completed"),
        Case(
            type: "batch.completed",
            data: ["batchId": "b", "name": "All", "totalTasks": 3, "completedTasks": 1, "failedTasks": 2, "cancelledTasks": 0],
            kind: .batchCompleted, title: "Batch ended with failures", body: "All: 1 of 3 tasks completed, 2 failed, 0 cancelled"),
        Case(
            type: "quota.warning", data: ["usedBytes": 8, "quotaBytes": 10, "percent": 80], kind: .quotaWarning,
            title: "Storage almost full", body: "80 % of your storage is in use."),
        Case(
            type: "quota.warning", data: ["usedBytes": 10, "quotaBytes": 10, "percent": 100], kind: .quotaWarning, title: "Storage full",
            body: "100 % of your storage is in use."),
        // Without a choice nobody is told of what he did himself.
        Case(type: "task.cancelled", data: task, kind: nil),
        Case(type: "task.created", data: task, kind: nil), Case(type: "task.progress", data: with(task, ["progress": 100]), kind: nil),
        Case(type: "task.retrying", data: task, kind: nil), Case(type: "upload.completed", data: upload, kind: nil),
        Case(type: "file.deleted", data: ["fileId": "f"], kind: nil),
    ]

    private func situation(
        _ chosen: [NotificationKind: NotificationDelivery] = [:], isWatching: Bool = false, now: Timestamp = now
    ) -> NotificationRule.Situation {
        NotificationRule.Situation(preferences: NotificationPreferences(chosen), isWatching: isWatching, now: now)
    }

    @Test(arguments: cases) func saysWhatHappened(_ row: Case) throws {
        let notification = NotificationRule.notification(for: try row.event(), at: Self.now, in: situation())
        #expect(notification?.kind == row.kind)
        guard let notification else { return }
        #expect(notification.content.title == row.title && notification.content.body == row.body, "\(notification.content)")
        #expect(notification.content.topic == row.kind?.rawValue)
        #expect(notification.content.meta?["sequence"] == 5 && notification.content.meta?["event"]?.string == row.type)
        #expect(notification.isPushed && notification.timeToLive == NotificationRule.freshness)
        // The database is asked for these types alone.
        #expect(NotificationRule.eventTypes.contains(row.type))
    }

    /// For each case that is told: what the account chose, and whether it watches.
    @Test(arguments: cases.filter { $0.kind != nil }, NotificationDelivery.allCases)
    func goesAsFarAsTheAccountWants(_ row: Case, _ delivery: NotificationDelivery) throws {
        let kind = try #require(row.kind)
        for isWatching in [false, true] {
            let notification = NotificationRule.notification(
                for: try row.event(), at: Self.now, in: situation([kind: delivery], isWatching: isWatching))
            let isUpload = row.data["type"] == "FileUpload"
            #expect((notification != nil) == (delivery != .off && !(isWatching && isUpload)), "watching: \(isWatching)")
            if let notification { #expect(notification.isPushed == (delivery == .push && !isWatching), "watching: \(isWatching)") }
        }
    }

    @Test func cancellationsAreToldWhereTheyAreWanted() throws {
        let row = Case(type: "task.cancelled", data: Self.task, kind: .taskCancelled)
        let notification = try #require(
            NotificationRule.notification(for: try row.event(), at: Self.now, in: situation([.taskCancelled: .push])))
        #expect(notification.content.title == "Cancelled" && notification.urgency == .low)
    }

    @Test func oldNewsIsListedAndNotPushed() throws {
        let event = try Self.cases[0].event()
        for (age, isPushed) in [(-100, true), (0, true), (3600, true), (86_399, true), (86_400, false), (1_000_000, false)] {
            let notification = try #require(
                NotificationRule.notification(for: event, at: Self.now, in: situation(now: Self.now + .seconds(age))))
            #expect(notification.isPushed == isPushed, "\(age)")
            #expect(notification.timeToLive == .seconds(min(max(86_400 - age, 0), 86_400)), "\(age)")
        }
    }

    /// A task that is tried again and ends otherwise takes its own earlier notification's place, and nobody else's.
    @Test func laterNewsOfTheSameThingTakesItsPlace() throws {
        func key(_ row: Case, _ sequence: Int64) throws -> String? {
            NotificationRule.notification(for: try row.event(sequence), at: Self.now, in: situation())?.collapseKey
        }
        let (failed, completed) = (Self.cases[5], Self.cases[4])
        #expect(try key(failed, 1) == key(completed, 2))
        var other = completed
        other.data["taskId"] = "u"
        #expect(try key(other, 3) != key(completed, 2))
        #expect(try key(Self.cases[9], 4) == key(Self.cases[10], 5))
    }

    @Test func brokenDataIsNoNotification() {
        for data in ["", "[]", "null", "{", #""text""#] {
            let event = LiveEvent(sequence: 1, type: "task.completed", taskId: "t", data: data)
            #expect(NotificationRule.notification(for: event, at: Self.now, in: situation()) == nil, "\(data)")
        }
        let bare = LiveEvent(sequence: 1, type: "quota.warning", taskId: nil, data: "{}")
        #expect(NotificationRule.notification(for: bare, at: Self.now, in: situation()) != nil)
    }

    @Test func aLongTextIsCut() throws {
        var row = Self.cases[5]
        row.data["errorMessage"] = .string(String(repeating: "é", count: 5000))
        let notification = try #require(NotificationRule.notification(for: try row.event(), at: Self.now, in: situation()))
        #expect(notification.content.body.count == NotificationRule.longestBody)
    }

    /// What a task keeps is what is sent.
    @Test(arguments: cases.filter { $0.kind != nil }) func aPushReadsBackFromItsParameters(_ row: Case) throws {
        let notification = try #require(NotificationRule.notification(for: try row.event(), at: Self.now, in: situation()))
        var content = notification.content
        for (target, isSavable) in [(RingPush.Target.device(UUID()), true), (.gateway, true), (.gateway, false)] {
            content.isSavable = isSavable
            let push = RingPush(
                target: target, account: UUID(), notification: content,
                options: PushOptions(
                    id: UUID(), timeToLive: .seconds(77), urgency: notification.urgency, collapseKey: notification.collapseKey))
            let stored = try DriveJSON.value([String: JSONValue].self, from: DriveJSON.text(push.parameters))
            #expect(RingPush(parameters: stored) == push)
            for name in [target == .gateway ? "gateway" : "device", "account", "notification", "topic", "title"] {
                var broken = stored
                broken[name] = nil
                #expect(RingPush(parameters: broken) == nil, "\(name)")
            }
            // To one place, never to two.
            let both = stored.merging(["device": .string(UUID().lowercaseString), "gateway": true]) { $1 }
            #expect(RingPush(parameters: both) == nil)
        }
    }
}
