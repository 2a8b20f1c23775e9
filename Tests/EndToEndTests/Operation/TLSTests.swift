import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// TLS by certificate files: the main job over it, its headers, the redirect from plain HTTP, and files that are wrong at the start.
@Suite struct TLSTests {
    @Test(arguments: ChunkForm.allCases) func aFileGoesUpAndComesDown(_ form: ChunkForm) async throws {
        try await withTLSServer("tls-path") { server, certificate in
            let token = try await server.data.token(account: "a")
            // All of it on one connection.
            let connection = try TLSConnection(port: server.port, trusting: certificate.certificatePath)
            let content = bytes(3 << 20 | 4711)
            let plan: JSONValue = [
                "fileName": "file.bin", "fileSize": .integer(Int64(content.count)), "chunkSize": 1_048_576,
                "hash": .string(sha256(content)),
            ]
            let created: CreateUploadReply = try await connection.send(
                .POST, "/api/files/upload/create", token: token, headers: [("Content-Type", "application/json")],
                body: Array(DriveJSON.text(plan).utf8)
            ).decode()
            let task = try #require(created.taskId)
            for index in [2, 0, 3, 1] {
                let chunk = Array(content[(index << 20)..<min(content.count, (index + 1) << 20)])
                let body = form == .raw ? nil : Multipart(parts: [.file("chunk", chunk)])
                let reply = try await connection.send(
                    .POST, "/api/files/upload/chunk/\(task)/\(index)", token: token,
                    headers: [("Content-Type", body?.contentType ?? "application/octet-stream")], body: body?.bytes ?? chunk)
                #expect(reply.status == 200, "\(reply)")
            }
            var completed: Reply?
            try await eventually(within: .seconds(30), "the upload to complete") {
                completed = try await connection.send(.POST, "/api/files/upload/complete/\(task)", token: token)
                return completed?.status != 202
            }
            let file: CloudFile = try #require(completed).decode()
            #expect(file.hash == sha256(content))
            let whole = try await connection.send(.GET, "/api/files/\(file.id)", token: token)
            #expect(whole.status == 200)
            #expect(whole.body == content, "the bytes differ")
            let part = try await connection.send(
                .GET, "/api/files/\(file.id)", token: token, headers: [("Range", "bytes=1048570-1048585")])
            #expect(part.status == 206)
            #expect(part.body == Array(content[1_048_570...1_048_585]))
        }
    }

    /// Nobody gets in by plain HTTP or by a version of TLS that is broken.
    @Test func onlyTLSOfTodayGetsIn() async throws {
        try await withTLSServer("tls-only") { server, certificate in
            let plain = try await RawConnection.exchange(
                port: server.port, RawConnection.request("GET /health/live", token: "none", headers: []))
            #expect(plain == nil, "\(String(describing: plain))")
            func handshake(_ version: String) async throws -> CommandResult {
                try await DriveCommand.run(
                    [
                        "s_client", "-connect", "127.0.0.1:\(server.port)", "-CAfile", certificate.certificatePath,
                        "-verify_return_error", version, "-cipher", "DEFAULT@SECLEVEL=0",
                    ], program: "openssl", atMost: .seconds(20))
            }
            for version in ["-tls1_2", "-tls1_3"] { #expect(try await handshake(version).exit == .exited(0), "\(version)") }
            let old = try await handshake("-tls1_1")
            #expect(old.exit != .exited(0))
            // The server's word, not the client's own caution.
            #expect(old.errors.contains("alert protocol version"), "\(old.errors)")
        }
    }

    struct HSTS: Sendable, CustomTestStringConvertible {
        var setting: String?
        var header: String?
        var testDescription: String { "\(setting ?? "default") gives \(header ?? "no header")" }
    }

    @Test(
        arguments: [
            HSTS(setting: nil, header: "max-age=15552000"), HSTS(setting: "1h", header: "max-age=3600"), HSTS(setting: "0", header: nil),
        ]) func browsersAreToldToInsist(_ hsts: HSTS) async throws
    {
        let settings = hsts.setting.map { ["DRIVE_TLS_HSTS_MAX_AGE": $0] } ?? [:]
        try await withTLSServer("tls-hsts", environment: settings) { server, certificate in
            let connection = try TLSConnection(port: server.port, trusting: certificate.certificatePath)
            for (path, status) in [("/health/live", 200), ("/api/files/me", 401), ("/nowhere", 404)] {
                let reply = try await connection.send(.GET, path)
                #expect(reply.status == status, "\(reply)")
                #expect(reply.header("Strict-Transport-Security") == hsts.header, "\(path)")
            }
        }
    }

    @Test func plainHTTPIsSentToHTTPS() async throws {
        try await withTLSServer("tls-redirect") { server, _ in
            let token = try await server.data.token(account: "a")
            let client = TestClient(base: "http://127.0.0.1:\(server.redirectPort)", token: token)
            let target = "https://127.0.0.1:\(server.port)"
            for (method, status) in [(HTTPMethod.GET, 301), (.HEAD, 308), (.POST, 308), (.PUT, 308), (.DELETE, 308)] {
                let reply = try await client.send(method, "/files/me?limit=1&query=%2F%20x", body: method == .POST ? bytes(100) : nil)
                #expect(reply.status == status, "\(method)")
                #expect(reply.header("Location") == target + "/api/files/me?limit=1&query=%2F%20x", "\(method)")
                #expect(reply.body.isEmpty)
                // Over plain HTTP the header means nothing (RFC 6797 §7.2).
                #expect(reply.header("Strict-Transport-Security") == nil)
            }
            // Not even a right token is answered with more.
            #expect(try await client.get("/files/me").status == 301)
            // A host that is none leads nowhere.
            for host in ["Host: evil.example@127.0.0.1", "Host: a b", "Host: "] {
                let request = "GET /x HTTP/1.1\r\n\(host)\r\nConnection: close\r\n\r\n"
                let reply = try await RawConnection.exchange(port: server.redirectPort, Array(request.utf8))
                #expect(reply?.status == 400, "\(host): \(String(describing: reply))")
                #expect(reply?.header("Location") == nil, "\(host)")
            }
        }
    }

    /// Clients are sent to the address the operator says they reach the server by, whatever host they asked for.
    @Test(arguments: ["https://drive.example.org", "https://drive.example.org:8443"])
    func theRedirectLeadsToThePublicAddress(_ address: String) async throws {
        try await withTLSServer("tls-public", environment: ["DRIVE_PUBLIC_URL": address]) { server, _ in
            let client = TestClient(base: "http://127.0.0.1:\(server.redirectPort)")
            let location = try await client.get("/files/me?a=b").header("Location")
            #expect(location == address + "/api/files/me?a=b")
        }
    }

    struct WrongFiles: Sendable, CustomTestStringConvertible {
        var what: String
        /// Spoils the files, where that is not all of it, and says which path the message has to name.
        var spoil: @Sendable (inout TLSCertificate, _ folder: String) async throws -> String
        var testDescription: String { what }
    }

    static let wrongFiles = [
        WrongFiles(what: "no certificate") { files, folder in
            files = TLSCertificate(certificatePath: folder + "/missing.crt", keyPath: files.keyPath)
            return files.certificatePath
        },
        WrongFiles(what: "no key") { files, folder in
            files = TLSCertificate(certificatePath: files.certificatePath, keyPath: folder + "/missing.key")
            return files.keyPath
        },
        WrongFiles(what: "a certificate that is none") { files, _ in
            try TLSCertificate.replace(files.certificatePath, by: Data("hello\n".utf8))
            return files.certificatePath
        },
        WrongFiles(what: "a key that is none") { files, _ in
            try TLSCertificate.replace(files.keyPath, by: Data())
            return files.keyPath
        },
        WrongFiles(what: "the key of another certificate") { files, folder in
            let other = try await TLSCertificate.make("other", in: folder)
            files = TLSCertificate(certificatePath: files.certificatePath, keyPath: other.keyPath)
            return files.keyPath
        },
    ]

    @Test(arguments: wrongFiles) func filesThatAreWrongStopTheStart(_ wrong: WrongFiles) async throws {
        let data = try DataFolder.make("tls-wrong")
        defer { data.remove() }
        let folder = (data.path as NSString).deletingLastPathComponent
        var files = try await TLSCertificate.make("live", in: folder)
        let path = try await wrong.spoil(&files, folder)
        let result = try await DriveCommand.run(
            ["serve", "--data", data.path, "--port", "0"], environment: files.settings, atMost: .seconds(20))
        #expect(result.exit == .exited(78), "configuration: \(result.exit)")
        #expect(!result.output.contains("listening"), "\(result.output)")
        #expect(result.errors.contains(path), "the message names the file: \(result.errors)")
        #expect(!result.errors.contains("cannot listen"), "\(result.errors)")
    }
}
