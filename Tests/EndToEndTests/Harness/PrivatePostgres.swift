import Foundation
import Synchronization
import TestSupport
import Testing

/// A PostgreSQL server of a test's own, which it may crash: a cluster in a temporary folder, over 127.0.0.1 alone.
final class PrivatePostgres: Sendable {
    /// The folder of `initdb` and `postgres`, found as `scripts/with-postgres` finds it; nil: there is none, or no way to run it.
    static let programs: String? = {
        // PostgreSQL refuses to run as root: the system's user `postgres` owns the cluster then.
        guard getuid() != 0 || getpwnam("postgres") != nil else { return nil }
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        // Where a distribution links a program into PATH, those beside the real one count.
        var folders = path.split(separator: ":").map { "\($0)/postgres" }.filter(FileManager.default.isExecutableFile)
            .map { URL(fileURLWithPath: $0).resolvingSymlinksInPath().deletingLastPathComponent().path }
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")) ?? []
        folders += versions.sorted { (Double($0) ?? 0) > (Double($1) ?? 0) }.map { "/usr/lib/postgresql/\($0)/bin" }
        return folders.first { folder in
            ["initdb", "postgres"].allSatisfy { FileManager.default.isExecutableFile(atPath: "\(folder)/\($0)") }
        }
    }()

    let url: String
    private let folder: String
    private let port: Int
    private let child: Mutex<ChildProcess?>

    private init(url: String, folder: String, port: Int, child: ChildProcess) {
        self.url = url
        self.folder = folder
        self.port = port
        self.child = Mutex(child)
    }

    /// Makes a cluster, runs the body beside its server, and takes both away again, however the body ends.
    static func with<Result: Sendable>(_ body: @escaping @Sendable (PrivatePostgres) async throws -> Result) async throws -> Result {
        let folder = try makeFolder()
        defer { TemporaryFolder.remove(folder) }
        let (password, secret) = (UUID().uuidString, folder + "/pw")
        _ = FileManager.default.createFile(atPath: secret, contents: Data("\(password)\n".utf8), attributes: attributes(0o600))
        let made = try await DriveCommand.run(
            asOwner(
                in: folder, "initdb",
                ["-D", folder + "/data", "-U", "drive", "--pwfile=\(secret)", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
                    + ["--no-sync"]), program: "sh")
        guard made.exit == .exited(0) else { throw CommandFailed(description: "initdb: \(made.exit) \(made.output)\(made.errors)") }
        let (port, child) = try await startAnywhere(folder)
        let server = PrivatePostgres(
            url: "postgresql://drive:\(password)@127.0.0.1:\(port)/postgres", folder: folder, port: port, child: child)
        let result: Result
        do {
            result = try await body(server)
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
        return result
    }

    /// What `pg_ctl restart -m immediate` does: the server ends without a checkpoint and without a word to anybody, and the
    /// next one recovers from its log. Returns when it takes connections again.
    func crashAndStart() async throws {
        try await crash()
        try await startAgain()
    }

    /// The first half of it.
    func crash() async throws {
        guard let old = child.withLock({ $0 }) else { throw CommandFailed(description: "no server to crash") }
        old.send(SIGQUIT)
        _ = try await old.wait(atMost: .seconds(20))
    }

    /// The second half.
    func startAgain() async throws {
        guard let new = try await Self.start(folder, port: port) else {
            throw CommandFailed(description: "PostgreSQL did not start again: \(DriveCommand.text(folder + "/log").suffix(2000))")
        }
        child.withLock { $0 = new }
    }

    /// The first columns of the statement's rows.
    func query(_ statement: String) async throws -> [String] {
        let result = try await DriveCommand.run(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, url], program: "psql")
        guard result.exit == .exited(0) else { throw CommandFailed(description: "psql: \(result.exit) \(result.errors)") }
        return result.output.split(separator: "\n").map(String.init)
    }

    /// A whole number.
    func count(_ statement: String) async throws -> Int { Int(try await query(statement).first ?? "") ?? -1 }

    /// INT is PostgreSQL's fast shutdown. Its own processes end with it, also where it is killed.
    private func stop() async {
        guard let child = child.withLock({ $0 }) else { return }
        child.send(SIGINT)
        if (try? await child.wait(atMost: .seconds(10))) != nil { return }
        child.killGroup()
        _ = try? await child.wait(atMost: .seconds(5))
    }

    // MARK: Starting

    /// Not below the others' folders: nobody but their owner may enter those.
    private static func makeFolder() throws -> String {
        let base = ProcessInfo.processInfo.environment["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
        let folder = (base as NSString).appendingPathComponent("drive-pg.\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        Reaper.shared.remove(folder: folder)
        try FileManager.default.setAttributes(attributes(0o700), ofItemAtPath: folder)
        return folder
    }

    /// For a file that is the cluster's owner's alone.
    private static func attributes(_ permissions: Int) -> [FileAttributeKey: Any] {
        guard getuid() == 0, let user = getpwnam("postgres") else { return [.posixPermissions: permissions] }
        return [
            .posixPermissions: permissions, .ownerAccountID: Int(user.pointee.pw_uid), .groupOwnerAccountID: Int(user.pointee.pw_gid),
        ]
    }

    /// The arguments of a shell that becomes a program of PostgreSQL's in the folder, as the cluster's owner.
    private static func asOwner(in folder: String, _ program: String, _ arguments: [String]) -> [String] {
        let owner = getuid() == 0 ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] : []
        return ["-c", "cd \"$0\" && exec \"$@\"", folder] + owner + ["\(programs ?? "")/\(program)"] + arguments
    }

    /// Below the kernel's range for outgoing connections, so that the port is still free after a crash.
    private static func startAnywhere(_ folder: String) async throws -> (Int, ChildProcess) {
        for _ in 0..<5 {
            let port = Int.random(in: 20_000..<32_000)
            if let child = try await start(folder, port: port) { return (port, child) }
        }
        throw CommandFailed(description: "PostgreSQL did not start: \(DriveCommand.text(folder + "/log").suffix(2000))")
    }

    /// nil where it ended at once, as where the port is taken.
    private static func start(_ folder: String, port: Int) async throws -> ChildProcess? {
        let output = open("/dev/null", O_WRONLY | O_CLOEXEC)
        guard output >= 0 else { throw CommandFailed(description: "no file for the output") }
        defer { close(output) }
        let child = try ChildProcess(
            ["sh"]
                + asOwner(
                    in: folder, "postgres",
                    ["-D", folder + "/data", "-h", "127.0.0.1", "-p", "\(port)", "-c", "unix_socket_directories="]
                        + ["-c", "max_connections=60", "-c", "shared_buffers=32MB"]),
            environment: DriveCommand.environment([:]), output: output, errorPath: folder + "/log")
        do {
            try await eventually(within: .seconds(30), "PostgreSQL to be ready") {
                child.ended != nil || isReady(folder, child.pid)
            }
        } catch {
            child.killGroup()
            throw error
        }
        return child.ended == nil ? child : nil
    }

    /// The server writes its id and its state into the first and the eighth line of its pid file.
    private static func isReady(_ folder: String, _ pid: pid_t) -> Bool {
        let lines = DriveCommand.text(folder + "/data/postmaster.pid").split(separator: "\n", omittingEmptySubsequences: false)
        return lines.count >= 8 && lines[0] == "\(pid)" && lines[7].hasPrefix("ready")
    }
}
