import DriveModel
import Foundation
import Testing

/// One server for all tests that do not need one of their own. It is started by the first; the reaper ends it.
actor SharedServer {
    private static let shared = SharedServer()

    private var starting: Task<ServerProcess, any Error>?
    private var tokens: [String: Task<String, any Error>] = [:]

    /// A direct upload's limit on this server: small, so that a test can exceed it cheaply.
    static let directLimit = 4 << 20

    static func get() async throws -> ServerProcess { try await shared.server() }

    /// The key by which it signs tokens.
    static func signingKey() async throws -> [UInt8] { try HandSignedToken.key(of: await get().data) }

    /// A client of an account of that name, which is made at its first use. Tests use names of their own.
    static func client(_ account: String, admin: Bool = false, prefix: String = "/api") async throws -> TestClient {
        let server = try await shared.server()
        return TestClient(base: server.base, token: try await shared.token(account, admin: admin), prefix: prefix)
    }

    private func server() async throws -> ServerProcess {
        if let starting { return try await starting.value }
        let task = Task {
            try await ServerProcess.start(
                DataFolder.make("shared"),
                environment: [
                    // Hundreds of refused tokens are this server's daily bread.
                    "DRIVE_RATE_FAILED_SIGNINS": "0", "UPLOAD_DIRECT_LIMIT": "\(Self.directLimit)", "UPLOAD_MAX_FILE_SIZE": "1TiB",
                    "UPLOAD_CLAIM_STALL": "500ms", "DRIVE_BODY_STALL_TIMEOUT": "5s",
                ])
        }
        starting = task
        return try await task.value
    }

    private func token(_ account: String, admin: Bool) async throws -> String {
        let key = "\(account) \(admin)"
        if let token = tokens[key] { return try await token.value }
        let data = try await server().data
        // Another caller may have been first while this one waited.
        if let token = tokens[key] { return try await token.value }
        let task = Task { try await data.token(account: account, admin: admin) }
        tokens[key] = task
        return try await task.value
    }
}
