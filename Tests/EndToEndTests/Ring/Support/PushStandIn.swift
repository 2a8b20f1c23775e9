import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// `Harness/push_standin.py`: the push services, on this machine. It ends with its last reference at the latest.
final class PushStandIn: Sendable {
    /// What it says first.
    private struct Ready: Decodable {
        struct APNs: Decodable {
            var keyId: String
            var teamId: String
            var topic: String
        }

        var tls: Int
        var plain: Int
        var subscriptions: [JSONValue]
        var apns: APNs
    }

    /// A request that it got.
    struct Request: Decodable, Sendable {
        var service: String
        var httpVersion: String
        var path: String
        var headers: [String: String]
        var payload: JSONValue?
        /// What was wrong with it.
        var problems: [String]
        /// Nil: it gets no answer.
        var status: Int?
        /// When it came, in seconds of a clock that only goes forward.
        var time: Double

        /// The device that it is for, as its service calls it.
        var device: String { service == "fcm" ? payload?["message"]?["token"]?.string ?? "" : path }

        /// The notification's, the same in each attempt.
        var notification: String? {
            switch service {
            case "apns": headers["apns-id"]
            case "fcm": payload?["message"]?["data"]?["id"]?.string
            default: payload?["id"]?.string
            }
        }

        private enum CodingKeys: String, CodingKey {
            case service = "for"
            case httpVersion, path, headers, payload, problems, status, time
        }
    }

    private let folder: String
    private let child: ChildProcess
    private let ready: Ready
    /// Held open: it ends with this.
    private let input: Int32

    /// As a browser has them, by turns over TLS and without.
    var subscriptions: [JSONValue] { ready.subscriptions }

    static func start() async throws -> PushStandIn {
        let folder = try TemporaryFolder.make("push")
        guard let ends = Spawn.makePipe() else { throw CommandFailed(description: "no pipe") }
        let output = open(folder + "/stdout", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        defer {
            close(ends.reading)
            if output >= 0 { close(output) }
        }
        let child: ChildProcess
        do {
            guard output >= 0 else { throw CommandFailed(description: "no file for the output") }
            child = try ChildProcess(
                [try RingProgram.interpreter(), RingProgram.path(of: "push_standin.py"), folder],
                environment: DriveCommand.environment([:]), input: ends.reading, output: output, errorPath: folder + "/stderr")
        } catch {
            close(ends.writing)
            throw error
        }
        do {
            try await eventually(within: .seconds(30), "the stand-in to be ready") {
                if let exit = child.ended { throw CommandFailed(description: "\(exit): \(DriveCommand.text(folder + "/stderr"))") }
                return DriveCommand.text(folder + "/stdout").hasSuffix("\n")
            }
            let line = DriveCommand.text(folder + "/stdout")
            return PushStandIn(
                folder: folder, child: child, ready: try JSONDecoder().decode(Ready.self, from: Data(line.utf8)), input: ends.writing)
        } catch {
            close(ends.writing)
            child.killGroup()
            throw error
        }
    }

    private init(folder: String, child: ChildProcess, ready: Ready, input: Int32) {
        self.folder = folder
        self.child = child
        self.ready = ready
        self.input = input
    }

    deinit {
        close(input)
        child.killGroup()
        TemporaryFolder.remove(folder)
    }

    /// The settings of a server that sends here.
    var environment: [String: String] {
        let base = "https://127.0.0.1:\(ready.tls)"
        return [
            "DRIVE_RING_NETWORKS": "any", "DRIVE_RING_CA_FILE": folder + "/certificate.pem",
            "DRIVE_RING_VAPID_KEY_FILE": folder + "/vapid.key", "DRIVE_RING_VAPID_SUBJECT": "mailto:ops@example.org",
            "DRIVE_RING_APNS_KEY_FILE": folder + "/apns.p8", "DRIVE_RING_APNS_KEY_ID": ready.apns.keyId,
            "DRIVE_RING_APNS_TEAM_ID": ready.apns.teamId, "DRIVE_RING_APNS_TOPIC": ready.apns.topic, "DRIVE_RING_APNS_SERVER": base,
            "DRIVE_RING_FCM_SERVICE_ACCOUNT_FILE": folder + "/service-account.json", "DRIVE_RING_FCM_SERVER": base,
        ]
    }

    /// Every request so far, those for a sign-in at Google left out.
    func pushes(sourceLocation: SourceLocation = #_sourceLocation) throws -> [Request] {
        let text = DriveCommand.text(folder + "/seen.jsonl")
        let whole = text[..<(text.lastIndex(of: "\n") ?? text.startIndex)]
        let all = try whole.split(separator: "\n").map { try JSONDecoder().decode(Request.self, from: Data($0.utf8)) }
        for request in all { #expect(request.problems.isEmpty, "\(request)", sourceLocation: sourceLocation) }
        return all.filter { $0.service != "token" }
    }

    /// Waits until so many came in all.
    @discardableResult
    func pushes(_ count: Int, within limit: Duration = .seconds(30)) async throws -> [Request] {
        do {
            try await eventually(within: limit, "\(count) pushes") { try pushes().count >= count }
        } catch is TimedOut {
            throw TimedOut(what: "\(count) pushes; there are \(try pushes())\n\(DriveCommand.text(folder + "/stderr").suffix(2000))")
        }
        return try pushes()
    }

    private var control: TestClient { TestClient(base: "http://127.0.0.1:\(ready.plain)", token: nil, prefix: "") }

    /// Answers that it gives before it takes everything again.
    func answer(_ steps: [JSONValue]) async throws {
        let reply = try await control.send(.POST, "/control/script", json: .array(steps))
        #expect(reply.status == 204, "\(reply)")
    }

    /// Takes everything again.
    func recover() async throws {
        let reply = try await control.delete("/control/script")
        #expect(reply.status == 204, "\(reply)")
    }

    /// From now on there is nobody.
    func kill() { child.killGroup() }
}
