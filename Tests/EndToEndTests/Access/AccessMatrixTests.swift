import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// Nobody else's files: every route, asked by everybody who must not.
@Suite struct AccessMatrixTests {
    /// What somebody owns, by the names in the route table.
    struct Belongings: Sendable {
        var client: TestClient
        var names: [String: String]
        var file: CloudFile
        var upload: OpenUpload
        var content: [UInt8]

        static func make(_ account: String) async throws -> Belongings {
            let client = try await SharedServer.client(account)
            let content = bytes(200, seed: 9)
            // Its device is nowhere: nothing is pushed.
            let kinds = ["upload.completed", "upload.failed", "task.completed", "task.failed", "batch.completed", "quota.warning"]
            let quiet = Dictionary(uniqueKeysWithValues: kinds.map { ($0, JSONValue.string("list")) })
            #expect(try await client.send(.PUT, "/notifications/preferences", json: .object(quiet)).status == 200)
            let bundle: FileBundle = try await client.send(.POST, "/bundles", json: ["name": "private"]).decode()
            let file = try await client.store(content, name: "private.txt", query: "&bundleId=\(bundle.id.uuidString.lowercased())")
            let upload = try await client.begin(bytes(100, seed: 10))
            let pool = try #require(try await client.get("/pools").decode([Pool].self).first { $0.isDefault })
            let token = try #require(client.token.flatMap { HandSignedToken($0) })
            let tus = try await client.send(.POST, "/tus", headers: [("Tus-Resumable", "1.0.0"), ("Upload-Length", "5")])
            let stream = try await client.send(.POST, "/uploads", headers: [("Upload-Complete", "?0")])
            let custom: JSONValue = ["type": "Custom", "kind": .string(RouteMatrix.kind)]
            let task: TaskSummary = try await client.send(.POST, "/tasks", json: custom).decode()
            let batch: TaskBatch = try await client.send(.POST, "/tasks/batches", json: ["name": "private", "tasks": [custom]]).decode()
            let schedule: TaskSchedule = try await client.send(
                .POST, "/tasks/schedules", json: ["cron": "0 0 1 1 *", "task": custom]
            ).decode()
            let device = try await client.send(
                .PUT, "/notifications/subscription", json: RouteMatrix.subscription("https://push.invalid/\(UUID().uuidString)"))
            return Belongings(
                client: client,
                names: [
                    "fileId": file.id, "taskId": upload.taskId, "tusId": try identifier(tus), "streamId": try identifier(stream),
                    "bundleId": bundle.id.uuidString.lowercased(),
                    "poolId": pool.id.uuidString.lowercased(), "accountId": try #require(token.account), "tokenId": try #require(token.id),
                    "customId": task.taskId, "batchId": batch.batchId, "scheduleId": schedule.scheduleId,
                    "deviceId": try #require(device.json["id"]?.string, "\(device)"),
                ], file: file, upload: upload, content: content)
        }

        /// The id of the upload that a creation made.
        private static func identifier(_ created: Reply) throws -> String {
            #expect(created.status == 201, "\(created)")
            return String(try #require(created.header("Location")?.split(separator: "/").last))
        }

        /// Everything is as it was made.
        func expectUntouched() async throws {
            #expect(try await client.get("/files/\(file.id)/info").decode(CloudFile.self) == file)
            try await client.expectContent(content, of: file)
            let progress = try await client.progress(upload.taskId)
            #expect(progress.status == .inProgress)
            #expect(progress.chunksUploaded == 0)
            for path in ["/tus/\(names["tusId"] ?? "")", "/uploads/\(names["streamId"] ?? "")"] {
                let reply = try await client.send(.HEAD, path, headers: [("Tus-Resumable", "1.0.0")])
                #expect(reply.header("Upload-Offset") == "0", "\(path): \(reply)")
            }
            #expect(try await client.get("/bundles/\(names["bundleId"] ?? "")").json["name"] == "private")
            #expect(try await client.quota().quotaBytes == 100 << 30)
            try await expectTasksUntouched()
        }

        private func expectTasksUntouched() async throws {
            let task: TaskSummary = try await client.get("/tasks/\(names["customId"] ?? "")").decode()
            #expect(task.status == .pending && task.priority == 0 && task.requested == nil && task.deadAt == nil, "\(task)")
            let batch: TaskBatch = try await client.get("/tasks/batches/\(names["batchId"] ?? "")").decode()
            #expect(batch.totalTasks == 1 && batch.cancelledTasks == 0 && batch.completedAt == nil, "\(batch)")
            let devices = try await client.get("/notifications/subscription")
            #expect(String(decoding: devices.body, as: UTF8.self).contains(names["deviceId"] ?? "-"), "\(devices)")
            let schedules: [TaskSchedule] = try await client.get("/tasks/schedules").decode()
            #expect(schedules.contains { $0.scheduleId == names["scheduleId"] })
        }
    }

    private func send(_ route: RouteMatrix.Route, by client: TestClient, with names: [String: String]) async throws -> Reply {
        let body = route.body.map { body in Array(names.reduce(body) { $0.replacing("{\($1.key)}", with: $1.value) }.utf8) }
        return try await client.send(
            route.method, route.path(with: names), headers: route.headers + (body == nil ? [] : [("Content-Type", route.contentType)]),
            body: body
        ).inHouseFormat
    }

    private func expect(_ status: Int, _ reply: Reply, _ route: RouteMatrix.Route) {
        // A HEAD has no body to tell more.
        if route.method == .HEAD { #expect(reply.status == status, "\(route)") } else { expectRefusal(reply, status, comment: "\(route)") }
    }

    @Test(arguments: ["/api", "/drive"]) func withoutATokenNothingIsAnswered(_ prefix: String) async throws {
        let owner = try await Belongings.make("matrix-anonymous\(prefix.dropFirst())")
        var anonymous = owner.client.with(token: nil)
        anonymous.prefix = prefix
        for route in RouteMatrix.all where route.access != .everybody {
            let reply = try await send(route, by: anonymous, with: owner.names)
            expect(route.anonymousAnswer, reply, route)
            let asks = reply.header("WWW-Authenticate")?.hasPrefix("Bearer") == true
            #expect(asks == (route.anonymousAnswer == 401), "\(route): RFC 9110 §11.6.1")
        }
        try await owner.expectUntouched()
    }

    @Test func anothersIdsAreNotFound() async throws {
        let owner = try await Belongings.make("matrix-owner")
        let stranger = try await SharedServer.client("matrix-stranger")
        for route in RouteMatrix.all where route.access == .owner {
            expect(404, try await send(route, by: stranger, with: owner.names), route)
        }
        // Not even an administrator reads what is somebody's own.
        let admin = try await SharedServer.client("matrix-admin", admin: true)
        for route in RouteMatrix.all where route.access == .owner {
            expect(404, try await send(route, by: admin, with: owner.names), route)
        }
        // Neither can it be put into another's bundle afterwards.
        let file = try await stranger.store([1])
        expectRefusal(
            try await stranger.send(.PATCH, "/files/\(file.id)", json: ["bundleId": .string(owner.names["bundleId"] ?? "")]), 404,
            "NOT_FOUND")
        try await owner.expectUntouched()
    }

    /// An id that does not exist and one that is another's give the same answer, but for the id itself.
    @Test func anothersIdsLookLikeNone() async throws {
        let owner = try await Belongings.make("matrix-oracle")
        let stranger = try await SharedServer.client("matrix-stranger")
        let unknown = owner.names.mapValues { value in
            UUID(uuidString: value) != nil ? UUID().uuidString.lowercased() : String(value.reversed())
        }
        for route in RouteMatrix.all where route.access == .owner && route.method != .HEAD {
            let theirs = try await send(route, by: stranger, with: owner.names)
            let none = try await send(route, by: stranger, with: unknown)
            #expect(theirs.status == none.status, "\(route)")
            #expect(theirs.error?.code == none.error?.code, "\(route)")
            func message(_ reply: Reply, _ names: [String: String]) -> String? {
                reply.error.map { error in names.reduce(error.message) { $0.replacing($1.value, with: $1.key) } }
            }
            #expect(message(theirs, owner.names) == message(none, unknown), "\(route)")
            #expect(theirs.error.map { Set($0.details.keys) } == none.error.map { Set($0.details.keys) }, "\(route)")
        }
    }

    @Test func administratorsRoutesAreForbiddenToUsers() async throws {
        let owner = try await Belongings.make("matrix-user")
        for route in RouteMatrix.all where route.access == .administrator {
            let reply = try await send(route, by: owner.client, with: owner.names)
            expectRefusal(reply, 403, "FORBIDDEN", comment: "\(route)")
        }
        try await owner.expectUntouched()
    }

    @Test func listsShowOnesOwnAlone() async throws {
        _ = try await Belongings.make("matrix-lister")
        let newcomer = try await SharedServer.client("matrix-newcomer")
        for path in [
            "/files/me", "/files/upload/tasks", "/bundles", "/files/upload/tasks/recent", "/tasks", "/tasks/recent", "/tasks/dead",
            "/tasks/batches", "/tasks/schedules", "/notifications", "/notifications/subscription",
        ] {
            #expect(try await newcomer.get(path).json == [], "\(path)")
        }
        let stats: UploadStatistics = try await newcomer.get("/files/upload/stats").decode()
        #expect(stats.totalTasks == 0)
        let tasks: TaskStatistics = try await newcomer.get("/tasks/stats").decode()
        #expect(tasks.totalTasks == 0 && tasks.recentActivity.isEmpty)
    }

    /// The table itself is right: the owner gets through, or an administrator does.
    @Test func whoMayIsNotRefused() async throws {
        for (index, route) in RouteMatrix.all.enumerated() where !route.isEndless {
            // An account has a hundred timetables at most.
            let owner = try await Belongings.make("matrix-allowed-\(index / 50)")
            let client = route.access == .administrator ? try await SharedServer.client("matrix-admin", admin: true) : owner.client
            // What is about to be harmed is made for it.
            var names = owner.names
            if route.access == .administrator, route.method != .GET {
                let server = try await SharedServer.get()
                let victim = try #require(
                    HandSignedToken(try await server.data.token(account: "matrix-victim-\(UUID().uuidString.prefix(8))")))
                names["accountId"] = victim.account
                names["tokenId"] = victim.id
                if route.path == "/pools/{poolId}" {
                    names["poolId"] = try await client.send(.POST, "/pools", json: ["name": "victim"]).json["id"]?.string
                }
            }
            let reply = try await send(route, by: client, with: names)
            // 409 is complete's answer to an upload without its chunk, and a task's to what its status does not allow.
            let isExpected = route.answer.map { $0 == reply.status } ?? ((200..<300).contains(reply.status) || reply.status == 409)
            #expect(isExpected, "\(route): \(reply)")
        }
    }

    /// What a server can do is no secret, and says nothing of what there is: an address that nobody has answers the same.
    @Test func optionsNeedNoToken() async throws {
        let owner = try await Belongings.make("matrix-options")
        for route in RouteMatrix.all where route.access == .everybody {
            let known = try await send(route, by: owner.client.with(token: nil), with: owner.names)
            let none = try await send(route, by: owner.client.with(token: nil), with: owner.names.mapValues { _ in "nothing" })
            #expect(known.status == 204 && none.status == 204, "\(route): \(known) \(none)")
            func fields(_ reply: Reply) -> [String] {
                reply.headers.filter { !["x-request-id", "date"].contains($0.name.lowercased()) }.map { "\($0.name): \($0.value)" }.sorted()
            }
            #expect(fields(known) == fields(none), "\(route)")
        }
    }

    /// The spec's example opens a WebSocket beside the API's prefixes.
    @Test func theWebSocketIsOutsideOfThePrefixToo() async throws {
        let client = try await SharedServer.client("matrix-outside")
        let anonymous = client.with(token: nil)
        let refused = try await anonymous.get("//ws?token=nonsense")
        expectRefusal(refused, 401, "UNAUTHENTICATED")
        #expect(refused.header("WWW-Authenticate")?.hasPrefix("Bearer") == true)
        for reply in [
            try await client.get("//ws"), try await anonymous.get("//ws?token=\(client.token ?? "")"), try await anonymous.get("//ws"),
        ] {
            expectRefusal(reply, 426, "UPGRADE_REQUIRED")
            #expect(reply.header("Upgrade") == "websocket", "RFC 9110 §15.5.22")
            #expect(reply.header("Sec-WebSocket-Version") == "13", "RFC 6455 §4.4")
        }
    }

    @Test(arguments: ["/health/live", "/health/ready", "/health/uploads"]) func healthNeedsNoToken(_ path: String) async throws {
        let server = try await SharedServer.get()
        let reply = try await TestClient(base: server.base).send(.GET, "/" + path)
        #expect(reply.status == 200, "\(reply)")
        // A token that is none does no harm either.
        #expect(try await TestClient(base: server.base, token: "none").send(.GET, "/" + path).status == 200)
    }
}
