import DriveModel
import Foundation
import NIOHTTP1
import TestSupport
import Testing

/// The server as a process: start, stop, log, health.
@Suite struct ServeTests {
    @Test func theFirstStartMakesSecretsAndPrintsAToken() async throws {
        let data = try DataFolder.make("first-start")
        defer { data.remove() }
        try await withServer("first-start", data: data) { server in
            // The token is printed behind the address, which is what a start waits for.
            var printed: String?
            try await eventually(within: .seconds(10), "the token") {
                printed = server.lines.last { $0.split(separator: ".").count == 3 && !$0.contains(" ") }
                return printed != nil
            }
            let token = try #require(printed)
            let client = TestClient(base: server.base, token: token)
            #expect(try await client.get("/files/me").status == 200)
            let secrets = TemporaryFolder.files(in: data.path + "/secrets")
            #expect(!secrets.isEmpty)
            for name in secrets {
                let attributes = try FileManager.default.attributesOfItem(atPath: data.path + "/secrets/" + name)
                #expect((attributes[.posixPermissions] as? NSNumber)?.int16Value == 0o600, "\(name)")
            }
            #expect(!server.log.contains(token))
        }
        // The second start prints none, and the data is there.
        try await withServer("second-start", data: data) { server in
            #expect(server.lines.count == 1, "\(server.lines)")
        }
    }

    @Test func aStopLetsRequestsFinish() async throws {
        let data = try DataFolder.make("stop")
        defer { data.remove() }
        try await Slots.servers.with {
            let token = try await data.token(account: "a")
            let server = try await ServerProcess.start(data, environment: ["DRIVE_FAULTS": "file.fsync.before:delay=500ms"])
            defer { server.kill() }
            let client = TestClient(base: server.base, token: token)
            let upload = try await client.begin(bytes(2 * 65_536))
            try await client.sendChunks(upload.indexes, of: upload)
            let waits = "fault: file.fsync.before waits"
            let before = server.log.components(separatedBy: waits).count
            async let completed = client.complete(upload.taskId)
            try await eventually(within: .seconds(10), "the completion's fsync") {
                server.log.components(separatedBy: waits).count > before
            }
            // A silent connection does not hold it up either.
            let silent = try RawConnection(port: server.port)
            let exit = try await server.terminate(atMost: .seconds(10))
            #expect(exit == .exited(0), "\(server.log)")
            let reply = try await completed
            #expect(reply.status == 200, "\(reply)")
            _ = await silent.readToEnd()
        }
        try await data.expectClean()
        // After the restart the upload is what it was.
        try await withServer("stop", data: data) { server in
            let client = TestClient(base: server.base, token: try await data.token(account: "a"))
            #expect(try await client.get("/files/me").header("X-Total") == "1")
        }
    }

    @Test func uploadsSurviveAGracefulRestart() async throws {
        let data = try DataFolder.make("restart")
        defer { data.remove() }
        let token = try await data.token(account: "a")
        let upload = try await withServer("restart", data: data) { server in
            let client = TestClient(base: server.base, token: token)
            let upload = try await client.begin(bytes(6 * 65_536))
            try await client.sendChunks([0, 1, 4], of: upload)
            return upload
        }
        try await withServer("restart", data: data) { server in
            let client = TestClient(base: server.base, token: upload.sessionToken)
            let resume: ResumeInformation = try await client.get("/files/upload/resume/\(upload.taskId)").decode()
            #expect(resume.uploadedChunks == [0, 1, 4])
            try await client.sendChunks([5, 3, 2], of: upload)
            let file = try await client.finish(upload.taskId)
            try await client.with(token: token).expectContent(upload.bytes, of: file)
        }
    }

    struct Wrong: Sendable, CustomTestStringConvertible {
        var name: String
        var value: String
        var testDescription: String { "\(name)=\(value)" }
    }

    @Test(
        arguments: [
            Wrong(name: "UPLOAD_MAX_CHUNK_SIZE", value: "many"), Wrong(name: "LOG_LEVEL", value: "loud"),
            Wrong(name: "DRIVE_PORT", value: "70000"), Wrong(name: "DRIVE_FAULTS", value: "nonsense"),
            Wrong(name: "DATABASE_URL", value: "mysql://localhost/x"), Wrong(name: "DRIVE_TOKEN_AUDIENCE", value: "drive-upload"),
        ]) func aWrongSettingStopsTheStart(_ wrong: Wrong) async throws
    {
        let data = try DataFolder.make("wrong")
        defer { data.remove() }
        let arguments = ["serve", "--data", data.path, "--host", "127.0.0.1"] + (wrong.name == "DRIVE_PORT" ? [] : ["--port", "0"])
        let result = try await DriveCommand.run(arguments, environment: [wrong.name: wrong.value], atMost: .seconds(20))
        #expect(result.exit != .exited(0))
        guard case .exited(let code) = result.exit else {
            Issue.record("\(result.exit): \(result.errors)")
            return
        }
        #expect(code != 0)
        #expect(!result.output.contains("listening"))
        let says = result.errors.contains(wrong.name) || result.errors.contains(wrong.value)
        #expect(says, "the message names the setting: \(result.errors)")
    }

    @Test func twoServersDoNotShareAFolder() async throws {
        try await withServer("twice") { server in
            do {
                let second = try await ServerProcess.start(server.data)
                second.kill()
                Issue.record("a second server started on the same folder")
            } catch let error as ServerProcess.DiedAtStart {
                #expect(error.exit != .exited(0))
                guard case .exited = error.exit else {
                    Issue.record("\(error)")
                    return
                }
            }
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            try await client.expectContent([1], of: client.store([1]))
        }
    }

    @Test func theLogLevelIsObeyed() async throws {
        func log(_ level: String) async throws -> String {
            try await withServer("log", environment: ["LOG_LEVEL": level], checks: false) { server in
                let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
                _ = try await client.store([1])
                _ = try await client.get("/files/nosuch")
                return server.log
            }
        }
        let debug = try await log("debug")
        let error = try await log("error")
        let category = try await log("DysonNetwork.Drive.Storage:Debug,error")
        #expect(debug.split(separator: "\n").count > error.split(separator: "\n").count)
        #expect(error.split(separator: "\n").isEmpty, "nothing went wrong: \(error)")
        #expect(!category.lowercased().contains("fatal"))
        // Where it is no terminal, each line is a JSON object.
        for line in debug.split(separator: "\n") {
            #expect((try? JSONDecoder().decode([String: JSONValue].self, from: Data(line.utf8))) != nil, "\(line)")
        }
    }

    @Test func healthTellsOfTheDatabaseAndTheQueues() async throws {
        let server = try await SharedServer.get()
        let client = TestClient(base: server.base)
        for path in ["//health/live", "//health/ready", "//health/uploads"] {
            let reply = try await client.send(.GET, path)
            #expect(reply.status == 200, "\(path): \(reply)")
            #expect(reply.json.object != nil, "\(path): \(reply)")
        }
        let uploads = try await client.send(.GET, "//health/uploads").json
        #expect(uploads["database"] != nil)
        #expect(uploads["queues"] != nil)
        expectRefusal(try await client.send(.GET, "//nowhere"), 404, "NOT_FOUND")
    }

    @Test func everyReplyHasARequestId() async throws {
        let client = try await SharedServer.client("request-id")
        let ids = try await together(20) { _ in try await client.get("/files/me").header("X-Request-Id") }
        #expect(Set(ids).count == 20)
        #expect(!ids.contains(nil))
        let own = try await client.get("/files/nosuch", headers: [("X-Request-Id", "my-request-0001")])
        #expect(own.header("X-Request-Id") == "my-request-0001")
        #expect(own.error?.requestId == "my-request-0001")
        let evil = try await client.get("/files/nosuch", headers: [("X-Request-Id", "a b\"<script>")])
        #expect(evil.header("X-Request-Id") != "a b\"<script>")
    }

    @Test func crossOriginCallsFollowTheConfiguration() async throws {
        let origin = "https://app.example.org"
        try await withServer("cors", environment: ["DRIVE_CORS_ORIGINS": origin]) { server in
            let client = TestClient(base: server.base, token: try await server.data.token(account: "a"))
            let good = try await client.get("/files/me", headers: [("Origin", origin)])
            #expect(good.header("Access-Control-Allow-Origin") == origin)
            #expect(good.header("Access-Control-Expose-Headers")?.contains("X-Total") == true)
            #expect(
                try await client.get("/files/me", headers: [("Origin", "https://evil.example")]).header("Access-Control-Allow-Origin")
                    == nil)
            let preflight = try await client.with(token: nil).send(
                .OPTIONS, "/files/upload/create",
                headers: [
                    ("Origin", origin), ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "authorization"),
                ])
            #expect((200..<300).contains(preflight.status), "\(preflight)")
            #expect(preflight.header("Access-Control-Allow-Origin") == origin)
            #expect(preflight.header("Access-Control-Allow-Headers")?.lowercased().contains("authorization") == true)
        }
        // Without the setting nobody else's page gets in.
        let closed = try await SharedServer.client("cors").get("/files/me", headers: [("Origin", origin)])
        #expect(closed.header("Access-Control-Allow-Origin") == nil)
    }
}
