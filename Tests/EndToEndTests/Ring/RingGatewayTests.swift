import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// With `RING_URL`: what happens in Drive, told to the RingService of another program.
@Suite(.timeLimit(.minutes(3))) struct RingGatewayTests {
    /// A packet as both sides tell of it.
    private struct Told: Hashable {
        var type: String
        var data: JSONValue
    }

    private func with(
        _ name: String, _ more: [String: String] = [:],
        _ body: @escaping @Sendable (RingServiceStandIn, ServerProcess) async throws -> Void
    ) async throws {
        let service = try await RingServiceStandIn.start()
        try await withServer(name, environment: service.environment.merging(more) { $1 }) { server in
            try await body(service, server)
            #expect(!server.log.contains(RingServiceStandIn.token), "the token in the log")
        }
    }

    @Test func whatHappensIsToldAsTheWebSocketShowsIt() async throws {
        try await with("ring-told", ["LOG_LEVEL": "trace"]) { service, server in
            let anna = TestClient(base: server.base, token: try await server.data.token(account: "anna"))
            let ben = anna.with(token: try await server.data.token(account: "ben"))
            let content = bytes(10 * 65_536)
            let upload = try await anna.begin(content, name: "für dich.pdf")
            let other = try await ben.makeCustom("ring-told-ben")
            try await anna.sendChunks(upload.indexes, of: upload)
            _ = try await anna.finish(upload.taskId)
            let task = try await anna.makeCustom("ring-told", ["name": "Compress \"it\""])
            let lease = try await anna.leased("ring-told")
            #expect(try await anna.work("progress", lease.leaseId, ["progress": .double(67.5), "statusMessage": "half way"]).status == 200)
            let results: JSONValue = ["ratio": .double(0.75), "size": 10_485_760]
            #expect(try await anna.work("complete", lease.leaseId, ["results": results]).status == 200)
            try await ben.changed(other.taskId, "cancel")
            try await service.calls(through: "task.completed", of: [upload.taskId, task.taskId])
            let calls = try await service.calls(through: "task.cancelled", of: [other.taskId])

            for (client, last) in [(anna, task.taskId), (ben, other.taskId)] {
                let shown = try await Self.shown(client, lastOf: last)
                let told = calls.filter { $0.isPacket && $0.user == (try? client.ringUser) }.map {
                    Told(type: $0.type ?? "", data: $0.data ?? .null)
                }
                // Of progress, what is newer by now may stand for what was before it.
                func whole(_ packets: [Told]) -> [Told] { packets.filter { $0.type != "task.progress" } }
                #expect(whole(told) == whole(shown), "in order, each once")
                // Both leave out progress that is superseded, each in its own moments; what comes goes up.
                let steps = Dictionary(grouping: told.filter { $0.type == "task.progress" }) { $0.data["taskId"]?.string }
                for (task, packets) in steps {
                    let progress = packets.compactMap { packet -> Double? in
                        if case .double(let value)? = packet.data["progress"] {
                            value
                        } else {
                            packet.data["progress"]?.integer.map(Double.init)
                        }
                    }
                    #expect(
                        progress.count == packets.count && zip(progress, progress.dropFirst()).allSatisfy(<), "\(task ?? "-"): \(progress)")
                }
                #expect(client.token != anna.token || steps[task.taskId]?.count == 1, "the one progress that a worker told")
            }
            #expect(calls.allSatisfy { $0.authorization == ["Bearer \(RingServiceStandIn.token)"] }, "\(calls)")
            #expect(calls.allSatisfy { $0.timeLeft.map { (0...120).contains($0) } ?? false }, "no call waits for ever: \(calls)")
        }
    }

    /// All events of an account, from the first on.
    private static func shown(_ client: TestClient, lastOf taskId: String) async throws -> [Told] {
        let live = try await LiveSocket.open(client.port, "/ws?since=0", token: client.token)
        try await live.begin(as: "resumed")
        return try await live.packets { $0.taskId == taskId && ["task.completed", "task.cancelled"].contains($0.type) }
            .map { Told(type: $0.type, data: $0.data) }
    }

    @Test func aNotificationIsSentWhetherThereIsADeviceOrNot() async throws {
        try await with("ring-told-notify") { service, server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "anna"))
            let preferences = try await client.send(
                .PUT, "/notifications/preferences", json: ["task.failed": "list", "task.cancelled": "push"])
            #expect(preferences.status == 200, "\(preferences)")
            // In the list alone, and before the others.
            let failed = try await client.makeCustom("ring-failed")
            let lease = try await client.leased("ring-failed")
            #expect(try await client.work("fail", lease.leaseId, ["errorMessage": "no", "retryable": false]).status == 200)
            let file = try await client.store([1, 2, 3], name: "told.txt")
            let task = try await client.makeCustom("ring-cancelled", ["name": "Compress"])
            try await client.changed(task.taskId, "cancel")
            let calls = try await service.calls("two notifications") { $0.filter(\.isNotification).count >= 2 }.filter(\.isNotification)

            let upload = try #require(calls.first { $0.request["notification"]?["topic"] == "upload.completed" }, "\(calls)")
            let wanted: [String: JSONValue] = [
                "title": "Upload complete", "body": "told.txt", "is_savable": true, "is_silent": false, "topic": "upload.completed",
            ]
            for (name, value) in wanted { #expect(upload.request["notification"]?[name] == value, "\(name): \(upload)") }
            #expect(upload.meta?["fileId"]?.string == file.id && upload.meta?["event"] == "task.completed", "\(upload)")
            let cancelled = try #require(calls.first { $0.request["notification"]?["topic"] == "task.cancelled" }, "\(calls)")
            #expect(cancelled.request["notification"]?["title"] == "Cancelled" && cancelled.taskId == task.taskId, "\(cancelled)")
            let user = try client.ringUser
            #expect(calls.allSatisfy { $0.user == user && $0.authorization == ["Bearer \(RingServiceStandIn.token)"] }, "\(calls)")
            #expect(calls.count == 2 && !calls.contains { $0.taskId == failed.taskId }, "\(calls)")
        }
    }

    /// As the engine tries every push again.
    @Test func aNotificationThatFailsIsTriedAgain() async throws {
        try await with("ring-told-again") { service, server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "anna"))
            try await service.answer("UNAVAILABLE", times: 1, method: "SendPushNotificationToUser")
            _ = try await client.store([1], name: "again.txt")
            let calls = try await service.calls("the second attempt") { $0.filter(\.isNotification).count >= 2 }.filter(\.isNotification)
            #expect(calls.map(\.answer) == ["UNAVAILABLE", "OK"] && calls[0].request == calls[1].request, "\(calls)")
        }
    }

    /// By a certificate of `ring.caFile`, and by no other.
    @Test func overTLS() async throws {
        let folder = try TemporaryFolder.make("ring-certificates")
        defer { TemporaryFolder.remove(folder) }
        let service = try await RingServiceStandIn.start(certificate: TLSCertificate.make("service", in: folder))
        let other = try await TLSCertificate.make("other", in: folder)
        let data = try DataFolder.make("ring-told-tls")
        defer { data.remove() }
        var settings = service.environment
        settings["DRIVE_RING_CA_FILE"] = other.certificatePath
        let task = try await withServer("ring-told-tls", environment: settings, data: data, checks: false) { server in
            let client = TestClient(base: server.base, token: try await data.token(account: "anna"))
            let task = try await client.makeCustom("ring-told-tls")
            try await client.changed(task.taskId, "cancel")
            try await eventually(within: .seconds(60), "a word of it in the log") {
                logged("warning", "error", in: server.log).contains { line in
                    ["Ring", "RING_URL", "ring.url", "gateway"].contains { line.contains($0) }
                }
            }
            #expect(!server.log.contains(RingServiceStandIn.token), "the token in the log")
            return task.taskId
        }
        #expect(try service.calls().isEmpty, "it showed its token to a stranger")
        // Nothing is lost meanwhile.
        try await withServer("ring-told-tls", environment: service.environment, data: data) { _ in
            let calls = try await service.calls(through: "task.cancelled", of: [task])
            #expect(calls.first?.type == "task.created", "\(calls)")
        }
    }
}
