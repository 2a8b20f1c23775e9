import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// What a push service does not take now is tried again by the task engine. How long no answer is waited for: `PushPatienceTests`.
@Suite(.timeLimit(.minutes(2))) struct PushRetryTests {
    /// 429, 500 and 503; what is asked for in `Retry-After` is heeded.
    @Test func whatMayPassIsTriedAgain() async throws {
        try await PushScene.with("push-again") { scene in
            for number in 0..<2 { try await scene.registerBrowser(number) }
            try await scene.registerPhones()
            try await scene.register(["platform": "apns", "token": .string(String(repeating: "cd", count: 32)), "name": "apns 2"])
            try await scene.register(["platform": "fcm", "token": "fcm-token-2", "name": "fcm 2"])
            let wait: JSONValue = ["retry-after": "7"]
            try await scene.services.answer([
                ["for": "webpush", "status": 429, "headers": wait], ["for": "webpush", "status": 500],
                ["for": "apns", "status": 500, "body": #"{"reason":"InternalServerError"}"#],
                ["for": "apns", "status": 429, "headers": wait, "body": #"{"reason":"TooManyRequests"}"#],
                ["for": "fcm", "status": 503, "body": #"{"error":{"code":503,"message":"Later.","status":"UNAVAILABLE"}}"#],
                [
                    "for": "fcm", "status": 429, "headers": wait,
                    "body": #"{"error":{"code":429,"message":"Later.","status":"RESOURCE_EXHAUSTED"}}"#,
                ],
            ])
            let wanted = ["429", "500", "500 InternalServerError", "429 TooManyRequests", "503 UNAVAILABLE", "429 RESOURCE_EXHAUSTED"]
            _ = try await scene.client.store([1], name: "again.txt")
            // Not of necessity all at one time: the first may be over before the last is there.
            var failures: Set<String> = []
            try await eventually(within: .seconds(10), "the failures") {
                failures.formUnion(try await scene.failures().values)
                return failures.isSuperset(of: wanted)
            }
            let pushes = try await scene.services.pushes(12)
            for (device, attempts) in Dictionary(grouping: pushes, by: \.device) {
                try #require(attempts.count == 2, "\(device): \(attempts)")
                #expect(attempts[0].status != attempts[1].status && (200..<300).contains(attempts[1].status ?? 0), "\(attempts)")
                #expect(attempts[0].notification != nil && attempts[0].notification == attempts[1].notification, "one, by its id")
                // 5 s, and a fifth more or less.
                #expect(attempts[1].time - attempts[0].time > (attempts[0].status == 429 ? 6.9 : 3.9), "\(attempts)")
            }
            try await scene.waitForFailures(
                ["browser 0": "-", "browser 1": "-", "apns": "-", "apns 2": "-", "fcm": "-", "fcm 2": "-"])
            let administrator = try await scene.administrator()
            let tasks = try await scene.tasks(6, of: administrator, are: "complete") { $0.status == .completed }
            #expect(tasks.allSatisfy { $0.attempt == 2 && $0.results == ["outcome": "delivered"] }, "\(tasks)")
            #expect(scene.alarms() == 0)
        }
    }

    /// A service that takes requests and says nothing keeps neither the others' devices waiting nor the end of the server. What it was
    /// asked costs no attempt, and the next server asks it again.
    @Test func whoNeverAnswersHoldsNobodyUp() async throws {
        let services = try await PushStandIn.start()
        let data = try DataFolder.make("push-never")
        defer { data.remove() }
        func by(_ service: String) throws -> [PushStandIn.Request] { try services.pushes().filter { $0.service == service } }

        let first = try await ServerProcess.start(data, environment: services.environment)
        defer { first.kill() }
        let scene = try await PushScene(services: services, server: first)
        try await scene.registerBrowser()
        try await scene.registerPhones()
        // One less than run at a time of one account's.
        try await services.answer([["for": "apns", "never": true, "times": 2], ["for": "fcm", "never": true]])
        for number in 1...2 as ClosedRange<UInt8> { _ = try await scene.client.store([number], name: "never-\(number)") }
        let told = try await services.pushes(6)
        #expect(told.filter { $0.status == nil }.count == 3 && told.filter { $0.service == "webpush" }.count == 2, "\(told)")
        try await scene.waitForFailures(["browser 0": "-", "apns": "-", "fcm": "-"])
        let end = ContinuousClock.now
        #expect(try await first.terminate() == .exited(0), "\(first.log.suffix(2000))")
        #expect(ContinuousClock.now - end < .seconds(10), "it waited for the answers")

        let second = try await ServerProcess.start(data, environment: services.environment)
        defer { second.kill() }
        let again = try await PushScene(services: services, server: second)
        try await services.pushes(9)
        for service in ["apns", "fcm"] {
            let (unanswered, answered) = (try by(service).filter { $0.status == nil }, try by(service).filter { $0.status == 200 })
            #expect(Set(unanswered.map(\.notification)).isSubset(of: Set(answered.map(\.notification))), "\(unanswered), \(answered)")
        }
        let tasks = try await again.tasks(6, of: try await again.administrator(), are: "complete") { $0.status == .completed }
        #expect(tasks.allSatisfy { $0.attempt == 1 }, "\(tasks)")
        #expect(try by("webpush").count == 2 && services.pushes().count == 9)
        #expect(try await second.terminate() == .exited(0), "\(second.log.suffix(2000))")
        try await data.expectClean()
    }

    /// No connection at all. Of an address that he chose a browser's owner does not learn why.
    @Test func whereNobodyIsItIsTriedAgain() async throws {
        try await PushScene.with("push-nobody") { scene in
            try await scene.registerBrowser()
            try await scene.registerPhones()
            scene.services.kill()
            _ = try await scene.client.store([1], name: "nobody.txt")
            try await scene.waitForFailures(["browser 0": "no-connection", "apns": "unreachable", "fcm": "unreachable"])
            let tasks = try await scene.tasks(3, of: try await scene.administrator(), are: "waiting") {
                $0.status == .pending && $0.runAt != nil && $0.errorCode == "PUSH_UNAVAILABLE"
            }
            #expect(tasks.allSatisfy { $0.maxAttempts == 14 && $0.deadAt == nil }, "\(tasks)")
            #expect(scene.alarms() == 0)
        }
    }
}
