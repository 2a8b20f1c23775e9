import DriveModel
import Foundation
import TestSupport
import Testing

/// A server that owns its SQLite file alone knows after a kill that nobody else runs its tasks.
@Suite(.timeLimit(.minutes(1))) struct TaskRecoveryTests {
    @Test func afterAKillTasksRunAtOnce() async throws {
        let data = try DataFolder.make("task-recovery")
        defer { data.remove() }
        try await Slots.servers.with {
            var settings = [
                "DRIVE_FAULTS": "staging.copy:delay=1000ms", "UPLOAD_CLEANUP_INTERVAL_MINUTES": "1s", "DRIVE_BLOB_GRACE_PERIOD": "0s",
            ]
            let token = try await data.token(account: "a")
            let admin = try await data.token(account: "root", admin: true)
            let first = try await ServerProcess.start(data, environment: settings)
            defer { first.kill() }
            let client = TestClient(base: first.base, token: token)
            let target = try await client.with(token: admin).makePool("target")
            var files: [StoredFile] = []
            for index in 0..<9 {
                let content = bytes(20_000 + index, seed: UInt64(index))
                files.append(StoredFile(file: try await client.store(content), content: content))
            }
            var tasks: [String] = []
            for start in stride(from: 0, to: 9, by: 3) {
                let ids = Array(files[start..<start + 3]).ids
                tasks.append(
                    try await client.makeTask([
                        "type": "FileMove", "parameters": ["fileIds": ids, "targetPoolId": .string(target.text)],
                    ]).taskId)
            }
            let paused = try await client.makeCustom("paused")
            try await client.changed(paused.taskId, "pause")
            let held = try await client.makeCustom("held")
            let lease = try await client.leased("held")
            for taskId in tasks { try await client.task(taskId, is: "under way") { $0.progress > 20 } }
            first.kill()
            _ = try await first.waitForEnd()

            settings["DRIVE_FAULTS"] = "staging.copy:delay=300ms"
            let second = try await ServerProcess.start(data, environment: settings)
            defer { second.kill() }
            let again = TestClient(base: second.base, token: token)
            let ready = ContinuousClock.now
            for taskId in tasks {
                try await again.task(taskId, within: .seconds(20), is: "running again") { $0.status != .pending }
                #expect(ContinuousClock.now - ready < .seconds(20), "at once, not after a lease")
                let attempts = try await again.attempts(taskId)
                #expect(attempts.map(\.outcome) == [.lost], "\(attempts)")
            }
            for taskId in tasks {
                let task = try await again.ended(taskId)
                #expect(task.results["movedFiles"] == 3 && task.results["skippedFiles"] == 0, "from the checkpoint on: \(task)")
            }
            #expect(try await again.task(paused.taskId).status == .paused)
            // A worker outside keeps its lease over the server's restart.
            #expect(try await again.work("heartbeat", lease.leaseId).status == 200)
            #expect(try await again.work("complete", lease.leaseId).status == 200)
            try await again.ended(held.taskId)
            for stored in files { try await again.expectContent(stored.content, of: again.file(stored.file.id)) }
            try await eventually(within: .seconds(15), "each content once", every: .milliseconds(100)) { data.blobFiles.count == 9 }
            #expect(try await second.terminate() == .exited(0))
        }
        try await data.expectClean()
    }

    /// A graceful stop in the middle: given back at its checkpoint, no attempt counted.
    @Test func aGracefulStopCostsNoAttempt() async throws {
        let data = try DataFolder.make("task-stop")
        defer { data.remove() }
        try await Slots.servers.with {
            let settings = ["DRIVE_FAULTS": "staging.copy:delay=300ms", "DRIVE_TASK_DRAIN_TIME": "0s"]
            let token = try await data.token(account: "a")
            let admin = try await data.token(account: "root", admin: true)
            let first = try await ServerProcess.start(data, environment: settings)
            defer { first.kill() }
            let client = TestClient(base: first.base, token: token)
            let target = try await client.with(token: admin).makePool("target")
            var files: [StoredFile] = []
            for index in 0..<6 {
                let content = bytes(20_000 + index, seed: UInt64(index))
                files.append(StoredFile(file: try await client.store(content), content: content))
            }
            let made = try await client.makeTask([
                "type": "FileMove", "parameters": ["fileIds": files.ids, "targetPoolId": .string(target.text)],
            ])
            try await client.task(made.taskId, is: "under way") { $0.progress > 10 }
            // A worker that waits for a task does not hold the server up.
            async let waiting = client.lease("never", waitSeconds: 30)
            #expect(try await first.terminate(atMost: .seconds(10)) == .exited(0))
            if let reply = try? await waiting { #expect(reply.status == 204, "\(reply)") }
            let second = try await ServerProcess.start(data, environment: settings)
            defer { second.kill() }
            let again = TestClient(base: second.base, token: token)
            let task = try await again.ended(made.taskId)
            #expect(task.attempt == 1 && task.results["movedFiles"] == 6 && task.results["skippedFiles"] == 0, "\(task)")
            #expect(try await again.attempts(made.taskId).isEmpty)
            #expect(try await second.terminate() == .exited(0))
        }
        try await data.expectClean()
    }
}
