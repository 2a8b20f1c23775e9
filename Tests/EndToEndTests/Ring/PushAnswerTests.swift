import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// Answers that are final, and what becomes of the notification, its task and the device: the table of docs/ring.md, "Once, and again where
/// it fails". The answers that are not: `PushRetryTests`.
@Suite(.timeLimit(.minutes(2))) struct PushAnswerTests {
    private static let anArgument = #"{"error":{"code":400,"message":"No.","status":"INVALID_ARGUMENT"}}"#
    private static let noSignIn = #"{"error":{"code":401,"message":"Who?","status":"UNAUTHENTICATED"}}"#
    private static let noDevice = """
        {"error":{"code":404,"message":"Gone.","status":"NOT_FOUND","details":[
        {"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}
        """

    /// Said of one notification, so the devices stay. Of Apple's and Google's it is the operator's affair: a dead letter. Of an address
    /// that a browser's owner chose it is his.
    @Test func whatIsRefusedIsNotTriedAgain() async throws {
        try await PushScene.with("push-refused") { scene in
            try await scene.registerBrowser()
            try await scene.registerPhones()
            try await scene.services.answer([
                ["for": "webpush", "status": 400], ["for": "apns", "status": 400, "body": #"{"reason":"BadDeviceToken"}"#],
                ["for": "fcm", "status": 400, "body": .string(Self.anArgument)],
            ])
            _ = try await scene.client.store([1], name: "refused.txt")
            try await scene.waitForFailures(["browser 0": "400", "apns": "400 BadDeviceToken", "fcm": "400 INVALID_ARGUMENT"])
            let administrator = try await scene.administrator()
            let tasks = try await scene.tasks(3, of: administrator, are: "ended") { $0.status.isTerminal }
            #expect(tasks.allSatisfy { $0.attempt == 1 }, "\(tasks)")
            let dead = tasks.filter { $0.deadAt != nil }
            #expect(dead.count == 2 && dead.allSatisfy { $0.status == .failed && $0.errorCode == "PUSH_REFUSED" }, "\(dead)")
            let reasons = dead.compactMap { $0.errorMessage?.split(separator: ": ").last }.sorted()
            #expect(reasons == ["400 BadDeviceToken.", "400 INVALID_ARGUMENT."])
            let browsers = tasks.filter { $0.deadAt == nil }
            #expect(browsers.map(\.status) == [.completed] && browsers.first?.results == ["outcome": "refused", "reason": "400"])
            #expect(scene.alarms() == 0)
            #expect(try scene.services.pushes().count == 3)

            // The next notification is another matter.
            _ = try await scene.client.store([2], name: "taken.txt")
            try await scene.services.pushes(6)
            try await scene.waitForFailures(["browser 0": "-", "apns": "-", "fcm": "-"])
        }
    }

    /// Of each service one of two devices is gone.
    @Test func aDeviceThatIsGoneIsRemovedAndTheOthersStay() async throws {
        try await PushScene.with("push-gone") { scene in
            var ids: [String: String] = [:]
            for number in 0..<2 {
                let subscription = scene.services.subscriptions[number]
                let path = try #require(URL(string: subscription["endpoint"]?.string ?? "")?.path)
                ids[path] = try await scene.registerBrowser(number)
                let token = String(repeating: "c\(number)", count: 32)
                ids["/3/device/\(token)"] = try await scene.register(["platform": "apns", "token": .string(token)])
                ids["fcm-\(number)"] = try await scene.register(["platform": "fcm", "token": .string("fcm-\(number)")])
            }
            let later = Int64((Date().timeIntervalSince1970 + 60) * 1000)
            try await scene.services.answer([
                ["for": "webpush", "status": 410],
                ["for": "apns", "status": 410, "body": .string(#"{"reason":"Unregistered","timestamp":\#(later)}"#)],
                ["for": "fcm", "status": 404, "body": .string(Self.noDevice)],
            ])
            _ = try await scene.client.store([1], name: "one.txt")
            let pushes = try await scene.services.pushes(6)
            let kept = Set(pushes.filter { $0.status.map { $0 < 300 } ?? false }.compactMap { ids[$0.device] })
            #expect(kept.count == 3, "\(pushes)")
            try await eventually(within: .seconds(10), "three devices to go") { try await scene.devices().count == 3 }
            #expect(Set(try await scene.devices().compactMap { $0["id"]?.string }) == kept)
            let tasks = try await scene.tasks(6, of: try await scene.administrator(), are: "complete") { $0.status == .completed }
            #expect(tasks.filter { $0.results == ["outcome": "unregistered"] }.count == 3, "\(tasks)")

            // Apple speaks of a time before the device was registered: it is a newer one.
            try await scene.services.answer([["for": "apns", "status": 410, "body": #"{"reason":"Unregistered","timestamp":1000}"#]])
            _ = try await scene.client.store([2], name: "two.txt")
            try await scene.services.pushes(9)
            // Who comes back is a new device.
            let gone = try #require(pushes.first { $0.service == "fcm" && $0.status == 404 })
            let new = try await scene.register(["platform": "fcm", "token": .string(gone.device)])
            #expect(new != ids[gone.device])
            _ = try await scene.client.store([3], name: "three.txt")
            try await scene.services.pushes(13)
            #expect(Set(try await scene.devices().compactMap { $0["id"]?.string }) == kept.union([new]))
        }
    }

    /// Mended, the dead letters go out. A browser's service that says so tells its owner alone.
    @Test func refusedCredentialsAreToldTheOperatorAndNotTriedAgain() async throws {
        try await PushScene.with("push-credentials") { scene in
            try await scene.registerBrowser()
            try await scene.registerPhones()
            // More than will be asked for: a token that was kept is tried anew.
            try await scene.services.answer([
                ["for": "webpush", "status": 403, "times": 3],
                ["for": "apns", "status": 403, "body": #"{"reason":"InvalidProviderToken"}"#, "times": 3],
                ["for": "fcm", "status": 401, "body": .string(Self.noSignIn), "times": 9],
            ])
            for number in 1...3 as ClosedRange<UInt8> { _ = try await scene.client.store([number], name: "\(number).txt") }
            try await scene.waitForFailures(["browser 0": "403", "apns": "403 InvalidProviderToken", "fcm": "401 UNAUTHENTICATED"])
            let administrator = try await scene.administrator()
            let tasks = try await scene.tasks(9, of: administrator, are: "ended") { $0.status.isTerminal }
            let dead = tasks.filter { $0.deadAt != nil }
            #expect(dead.count == 6 && dead.allSatisfy { $0.errorCode == "PUSH_CREDENTIALS" && $0.attempt == 1 }, "\(tasks)")
            #expect(tasks.filter { $0.results["outcome"] == "refused" }.count == 3, "\(tasks)")
            #expect(scene.alarms() == 2, "one of each service\n\(scene.server.log.suffix(2000))")

            try await scene.services.recover()
            let before = try scene.services.pushes()
            let redriven = try await administrator.send(.POST, "/admin/tasks/dead/redrive", json: [:])
            #expect(redriven.status == 200, "\(redriven)")
            let delivered = try await scene.services.pushes(before.count + 6).dropFirst(before.count)
            #expect(delivered.count == 6 && delivered.allSatisfy { $0.status == 200 }, "\(delivered)")
            #expect(Set(delivered.map(\.notification)) == Set(before.filter { $0.service != "webpush" }.map(\.notification)))
            try await scene.waitForFailures(["browser 0": "403", "apns": "-", "fcm": "-"])
            #expect(scene.alarms() == 2)
        }
    }
}
