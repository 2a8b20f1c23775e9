import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// Two servers, of which one or each calls the other's RingService.
@Suite(.timeLimit(.minutes(3))) struct RingChainTests {
    /// An issuer whom both trust, so that they call a person by the same name.
    private static let issuer = "https://people.example"
    private static let subject = "anna@people.example"

    private struct Scene: Sendable {
        let first: ServerProcess
        let second: ServerProcess
        /// Of the same person.
        let here: TestClient
        let there: TestClient
    }

    /// - Parameter isMutual: whether the second calls the first, too.
    private func with(_ name: String, isMutual: Bool, _ body: @escaping @Sendable (Scene) async throws -> Void) async throws {
        let folder = try TemporaryFolder.make(name)
        defer { TemporaryFolder.remove(folder) }
        let key = try await IssuerKey.make(.es256, id: "people", in: folder)
        let person = HandSignedToken(issuer: Self.issuer, subject: Self.subject, audience: "ring-chain", key: key)
        let token = try await person.signed(by: key)
        let trust: JSONValue = [
            ["issuer": .string(Self.issuer), "audience": "ring-chain", "pemFile": .string(key.publicPath), "algorithms": ["ES256"]]
        ]
        let ports = try LoopbackPort.free(2)
        let issuers = ["DRIVE_ISSUERS": try DriveJSON.text(trust)]
        @Sendable func settings(own: Int, other: Int?) -> [String: String] {
            var settings = issuers.merging(RingCaller.environment(port: own)) { $1 }
            if let other { settings.merge(["RING_URL": "http://127.0.0.1:\(other)", "RING_TOKEN": RingCaller.token]) { $1 } }
            return settings
        }
        try await withServer(name + "-second", environment: settings(own: ports[1], other: isMutual ? ports[0] : nil)) { second in
            // Not by a slot of its own: it could wait for one that this test holds.
            let data = try DataFolder.make(name + "-first")
            defer { data.remove() }
            let first = try await ServerProcess.start(data, environment: settings(own: ports[0], other: ports[1]))
            defer { first.kill() }
            try await body(
                Scene(
                    first: first, second: second, here: TestClient(base: first.base, token: token),
                    there: TestClient(base: second.base, token: token)))
            #expect(try await first.terminate() == .exited(0), "\(first.log.suffix(2000))")
            for log in [first.log, second.log] { #expect(!log.contains(RingCaller.token), "a token in the log") }
        }
    }

    /// A task that completes: one event that is news at either server.
    private func completed(by client: TestClient) async throws -> String {
        let kind = uniqueKind("ring-chain")
        let task = try await client.makeCustom(kind)
        let lease = try await client.leased(kind)
        #expect(try await client.work("complete", lease.leaseId).status == 200)
        return task.taskId
    }

    private func shown(_ live: LiveSocket, through taskId: String) async throws -> [[String]] {
        try await live.packets(through: "task.completed", of: taskId).filter { $0.type != "task.progress" }.map {
            [$0.type, $0.taskId ?? $0.data["meta"]?["taskId"]?.string ?? "", try DriveJSON.text($0.data)]
        }
    }

    @Test func whatHappensHereIsShownThere() async throws {
        try await with("ring-chain", isMutual: false) { scene in
            // Whom only this one knows: the other refuses it, and it holds up nobody.
            let local = scene.here.with(token: try await scene.first.data.token(account: "local"))
            _ = try await completed(by: local)
            // Signing in makes the account.
            let (here, there) = (try await LiveSocket.signedIn(scene.here), try await LiveSocket.signedIn(scene.there))
            let stranger = TestClient(base: scene.second.base, token: try await scene.second.data.token(account: "stranger"))
            let deaf = try await LiveSocket.signedIn(stranger)
            let file = try await scene.here.upload(bytes(3 * 65_536), name: "far.txt")
            let task = try await completed(by: scene.here)
            let (own, far) = (try await shown(here, through: task), try await shown(there, through: task))
            // Beside the packets come the notifications, when they come.
            #expect(far.filter { $0[0] != "notification.received" } == own)
            #expect(own.contains { $0[0] == "file.created" && $0[2].contains(file.id) }, "\(own)")

            try await eventually(within: .seconds(30), "the notifications there") {
                try await scene.there.pastNotifications().count == 2
            }
            for client in [scene.here, scene.there] {
                let titles = try await client.pastNotifications().compactMap { $0["title"]?.string }
                #expect(titles.sorted() == ["Task complete", "Upload complete"], "\(titles)")
            }
            // It calls nobody: what happens there stays there.
            let back = try await completed(by: scene.there)
            _ = try await shown(there, through: back)
            let last = try await completed(by: scene.here)
            #expect(try await shown(here, through: last).allSatisfy { $0[1] == last })
            let marker = try await completed(by: stranger)
            #expect(try await shown(deaf, through: marker).allSatisfy { $0[1] == marker })
        }
    }

    /// Nothing that a worker may say is too long for the other.
    @Test func theLargestResultsAreShownThere() async throws {
        try await with("ring-large", isMutual: false) { scene in
            let (here, there) = (try await LiveSocket.signedIn(scene.here), try await LiveSocket.signedIn(scene.there))
            let kind = uniqueKind("ring-large")
            let task = try await scene.here.makeCustom(kind, ["name": .string(String(repeating: "\"", count: 255))])
            let lease = try await scene.here.leased(kind)
            let results: JSONValue = ["text": .string(String(repeating: "x", count: (256 << 10) - #"{"text":""}"#.utf8.count))]
            #expect(try await scene.here.work("complete", lease.leaseId, ["results": results]).status == 200)
            let (own, far) = (try await shown(here, through: task.taskId), try await shown(there, through: task.taskId))
            #expect(far.filter { $0[0] != "notification.received" } == own)
            #expect(own.map { $0[0] } == ["task.created", "task.completed"])
            #expect((own.last?[2].utf8.count ?? 0) > 256 << 10)
        }
    }

    /// What came from the other goes back to nobody. Each round is a signal by which what came before it would have returned.
    @Test func twoThatCallEachOtherMakeNoLoop() async throws {
        try await with("ring-loop", isMutual: true) { scene in
            let (here, there) = (try await LiveSocket.signedIn(scene.here), try await LiveSocket.signedIn(scene.there))
            var tasks: [String] = []
            var seen: [[[String]]] = [[], []]
            for round in 0..<6 {
                tasks.append(try await completed(by: round.isMultiple(of: 2) ? scene.here : scene.there))
                for (index, live) in [here, there].enumerated() { seen[index] += try await shown(live, through: tasks[round]) }
                // Of each round one at either, its own or the other's.
                for client in [scene.here, scene.there] {
                    try await eventually(within: .seconds(30), "the notification of round \(round)") {
                        try await client.pastNotifications().count > round
                    }
                }
            }
            for events in seen {
                let packets = events.filter { $0[0] != "notification.received" }.map { [$0[0], $0[1]] }
                #expect(packets == tasks.flatMap { [["task.created", $0], ["task.completed", $0]] }, "\(packets)")
                let notifications = events.filter { $0[0] == "notification.received" }.map { $0[1] }
                #expect(notifications.count == Set(notifications).count, "\(notifications)")
            }
            for client in [scene.here, scene.there] {
                let items = try await client.pastNotifications()
                #expect(items.compactMap { $0["taskId"]?.string ?? $0["meta"]?["taskId"]?.string }.sorted() == tasks.sorted(), "\(items)")
            }
            for server in [scene.first, scene.second] {
                #expect(logged("error", "critical", in: server.log).isEmpty, "\(server.log.suffix(3000))")
            }
        }
    }
}
