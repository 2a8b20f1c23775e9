import DriveModel
import Foundation
import NIOHTTP1
import Synchronization
import TestSupport
import Testing

/// The server is killed again and again: at any time from outside, and by itself right behind a commit, before a frame can tell of it.
/// Who comes back with the number of its last event misses no end of a task or an upload. `DRIVE_LIVE_ROUNDS` says how often (5;
/// `make crash`: 200), `DRIVE_LIVE_SEED` what is done.
@Suite(.timeLimit(.minutes(30))) struct LiveCrashTests {
    private static func setting(_ name: String, _ otherwise: UInt64) -> UInt64 {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) } ?? otherwise
    }

    private static let rounds = setting("DRIVE_LIVE_ROUNDS", 5)

    @Test func noEndIsMissing() async throws {
        let (rounds, seed) = (Self.rounds, Self.setting("DRIVE_LIVE_SEED", 1))
        let data = try DataFolder.make("live-crash")
        defer { data.remove() }
        try await Slots.servers.with {
            let token = try await data.token(account: "a")
            var generator = SeededGenerator(seed: seed)
            var events: [LivePacket] = []
            // Events that were committed and not told before the server was gone.
            var untold: Int64 = 0
            for round in 0..<rounds {
                // Past those of the start, and soon enough that the pause below is seldom shorter.
                let commit = Int.random(in: 20...90, using: &generator)
                let dies = round.isMultiple(of: 2)
                let faults = dies ? ["DRIVE_FAULTS": "database.commit.after:kill@\(commit)"] : [:]
                let server = try await ServerProcess.start(data, environment: faults)
                defer { server.kill() }
                let client = TestClient(base: server.base, token: token)
                let last = events.last?.sequence ?? 0
                untold += try await Self.lastEvent(client) - last
                let live = try await LiveSocket.open(server.port, "/ws?since=\(last)", token: token)
                #expect(try await live.begin(as: "resumed").sequence == last, "round \(round)")
                let works = (0..<3).map { _ in generator.next() }
                let pause = dies ? Duration.seconds(2) : .milliseconds(Int64.random(in: 30...700, using: &generator))
                let came = try await withThrowingTaskGroup(of: Void.self) { group in
                    for work in works { group.addTask { await Self.work(client, seed: work) } }
                    group.addTask {
                        // Nothing is wrong where it does not end by itself before that.
                        _ = try? await server.waitForEnd(atMost: pause)
                        server.kill()
                    }
                    var came: [LivePacket] = []
                    do {
                        while true { came.append(try await live.packet()) }
                    } catch is LiveClosed {
                        // It was killed: there was no time for a close frame.
                    }
                    try await group.waitForAll()
                    return came
                }
                #expect(try await server.waitForEnd() == .signalled(SIGKILL))
                events += came
            }
            try await compare(data, token, events, untold, seed: seed)
        }
        try await data.expectClean()
    }

    /// The number of the account's last event.
    private static func lastEvent(_ client: TestClient) async throws -> Int64 {
        try await LiveSocket.open(client.port, token: client.token).packet("ready").data["sequence"]?.integer ?? 0
    }

    /// Makes tasks and brings them to all their ends, until the server is gone.
    private static func work(_ client: TestClient, seed: UInt64) async {
        var generator = SeededGenerator(seed: seed)
        do {
            while true {
                // The lease must be of the task that was made here.
                let kind = "crash-\(seed)-\(generator.next())"
                let choice = Int.random(in: 0..<7, using: &generator)
                if choice == 6 {
                    try await upload(client, &generator)
                    continue
                }
                let task: JSONValue = ["type": "Custom", "kind": .string(kind)]
                if choice == 5 {
                    let tasks = Array(repeating: task, count: Int.random(in: 2...40, using: &generator))
                    let batch = try await client.send(.POST, "/tasks/batches", json: ["name": "many", "tasks": .array(tasks)])
                    if let id = batch.json["batchId"]?.string { _ = try await client.send(.POST, "/tasks/batches/\(id)/cancel") }
                    continue
                }
                let made = try await client.send(.POST, "/tasks", json: task)
                guard made.status == 201, let id = made.json["taskId"]?.string else { continue }
                switch choice {
                case 0: break
                case 1: _ = try await client.change(id, "cancel")
                default:
                    guard let lease = try await client.lease(kind).json["leaseId"]?.string else { continue }
                    switch choice {
                    case 2: _ = try await client.work("complete", lease)
                    case 3: _ = try await client.work("fail", lease, ["errorMessage": "no", "retryable": false])
                    default:
                        _ = try await client.work("progress", lease, ["progress": 50])
                        _ = try await client.work("release", lease)
                    }
                }
            }
        } catch {
            // The server was killed.
        }
    }

    /// An upload that ends well, is cancelled, or stays begun.
    private static func upload(_ client: TestClient, _ generator: inout SeededGenerator) async throws {
        let content = bytes(Int.random(in: 1...1000, using: &generator), seed: generator.next())
        let made = try await client.create(size: content.count, chunkSize: nil)
        guard made.status == 200, let id = made.json["taskId"]?.string else { return }
        _ = try await client.sendChunk("0", taskId: id, bytes: content)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: break
        case 1: _ = try await client.change(id, "cancel")
        default: _ = try await client.complete(id)
        }
    }

    /// All pages of a list.
    private static func all<Value: Decodable>(_ path: String, _ client: TestClient) async throws -> [Value] {
        var values: [Value] = []
        while true {
            let page: [Value] = try await client.get("\(path)?limit=500&offset=\(values.count)").decode()
            if page.isEmpty { return values }
            values += page
        }
    }

    /// The last time: what the client was told, against what the server knows.
    private func compare(_ data: DataFolder, _ token: String, _ before: [LivePacket], _ untold: Int64, seed: UInt64) async throws {
        let server = try await ServerProcess.start(data)
        defer { server.kill() }
        let client = TestClient(base: server.base, token: token)
        let last = before.last?.sequence ?? 0
        // In a few rounds that is luck.
        if Self.rounds >= 20 {
            let unseen = try await untold + Self.lastEvent(client) - last
            #expect(unseen > 0, "some kill fell between a commit and its frame (seed \(seed))")
        }
        let live = try await LiveSocket.open(server.port, "/ws?since=\(last)", token: token)
        try await live.begin(as: "resumed")
        let marker = try await client.makeCustom("crash-marker")
        try await client.changed(marker.taskId, "cancel")
        let events = before + (try await live.packets(through: "task.cancelled", of: marker.taskId))

        let sequences = events.compactMap(\.sequence)
        #expect(sequences.count == events.count)
        #expect(zip(sequences, sequences.dropFirst()).allSatisfy { $0 < $1 }, "in order, none twice (seed \(seed))")
        let missing = Set(1...(sequences.last ?? 1)).subtracting(sequences)
        let steps = events.filter { $0.type == "task.progress" }.count
        // Only progress may have been replaced, and each task made one step here: none was.
        #expect(missing.isEmpty, "\(missing.sorted().prefix(20)) beside \(steps) steps (seed \(seed))")

        let ends = ["task.completed": TaskStatus.completed, "task.failed": .failed, "task.cancelled": .cancelled, "task.expired": .expired]
        let told = Dictionary(grouping: events.filter { $0.taskId != nil }) { $0.taskId ?? "" }
        let tasks: [TaskSummary] = try await Self.all("/tasks", client)
        #expect(Set(tasks.map(\.taskId)) == Set(told.keys), "every task was told of, and no other (seed \(seed))")
        #expect(tasks.count > 10 && Set(tasks.map(\.status)).isSuperset(of: [.completed, .failed, .cancelled]), "\(tasks.count) tasks")
        for task in tasks {
            let own = told[task.taskId] ?? []
            #expect(own.first?.type == "task.created", "\(own)")
            let end = own.compactMap { ends[$0.type] }
            #expect(end == (task.status.isTerminal ? [task.status] : []), "\(task.status): \(own) (seed \(seed))")
        }
        let uploads = tasks.filter { $0.type == .fileUpload && $0.status == .completed }
        let files: [CloudFile] = try await Self.all("/files/me", client)
        let toldFiles = events.filter { $0.type == "file.created" }.compactMap { $0.data["fileId"]?.string }
        #expect(!uploads.isEmpty && toldFiles.sorted() == files.map(\.id).sorted(), "\(uploads.count) uploads (seed \(seed))")
        #expect(try await server.terminate() == .exited(0))
    }
}
