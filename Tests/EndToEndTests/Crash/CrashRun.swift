import DriveModel
import Foundation
import NIOHTTP1
import Testing

/// One life and death: start with a fault, work, die, start again, and hold the server to what it acknowledged.
struct CrashRun: Sendable {
    let plan: CrashPlan
    /// nil where the plan has no tasks.
    var tasks: CrashTasksScene?

    struct Outcome: Sendable {
        /// What was wrong; empty: nothing.
        var failures: [String] = []
        var acknowledgedChunks = 0
        var files = 0
        var resumed = 0
        /// Streams that went on, and their bytes that were kept.
        var streams = 0
        var keptBytes = 0
        /// Tasks that were told of, those of them that went on after the restart, and the things that all tasks did.
        var tasks = 0
        var openTasks = 0
        var effects = 0
        /// Whether the plan's own fault killed the server, rather than the end of the workload.
        var diedAsPlanned = false
    }

    /// - Parameters:
    ///   - data: a folder that is this run's own, with an account.
    func run(in data: DataFolder, token: String) async -> Outcome {
        var outcome = Outcome()
        do {
            let ledger = CrashLedger()
            outcome.diedAsPlanned = try await die(in: data, token: token, ledger: ledger, failures: &outcome.failures)
            try await revive(in: data, token: token, ledger: ledger, outcome: &outcome)
        } catch {
            outcome.failures.append("\(error)")
        }
        return outcome
    }

    /// Works until the server is dead. Returns whether it died by the plan.
    private func die(in data: DataFolder, token: String, ledger: CrashLedger, failures: inout [String]) async throws -> Bool {
        let server: ServerProcess
        do {
            var environment = plan.settings
            environment["DRIVE_FAULTS"] = plan.faults
            server = try await ServerProcess.start(data, environment: environment)
        } catch let error as ServerProcess.DiedAtStart {
            // A fault at the start itself.
            if error.exit != .signalled(SIGKILL) { failures.append("\(error)") }
            return error.exit == .signalled(SIGKILL)
        }
        defer { server.kill() }
        if case .moment(let milliseconds) = plan.death {
            Task {
                try await Task.sleep(for: .milliseconds(milliseconds))
                server.kill()
            }
        }
        let client = TestClient(base: server.base, token: token)
        await CrashWorkload(client: client, port: server.port, plan: plan, ledger: ledger, tasks: tasks).run(rounds: 6)
        // Either it is dead or dying now, or the workload was too short for the plan.
        let exit = try? await server.waitForEnd(atMost: .seconds(plan.faults == nil ? 1 : 5))
        server.kill()
        let end = try await server.waitForEnd(atMost: .seconds(10))
        if end != .signalled(SIGKILL) { failures.append("the server ended by itself: \(end)\n\(Self.trouble(in: server.log))") }
        // A crash of its own does not hide behind the kill that came while it was being told.
        if end == .signalled(SIGKILL), server.log.contains(Self.crashMark) {
            failures.append("the server crashed before it was killed\n\(Self.trouble(in: server.log))")
        }
        // Replies that came before the death are the server's own; a refusal among them has no excuse.
        failures += ledger.all.surprises
        return exit != nil
    }

    /// What Swift's runtime writes first when a program crashes.
    private static let crashMark = "Program crashed"

    /// The part of a log that tells why a server ended.
    private static func trouble(in log: String) -> Substring {
        guard let mark = log.range(of: crashMark) else { return log.suffix(3000) }
        return log[mark.lowerBound...].prefix(12_000)
    }

    /// Starts again without faults and checks everything the ledger says.
    private func revive(in data: DataFolder, token: String, ledger: CrashLedger, outcome: inout Outcome) async throws {
        let server = try await ServerProcess.start(data, environment: plan.settings)
        defer { server.kill() }
        if server.startTime > .seconds(15) { outcome.failures.append("ready only after \(server.startTime)") }
        let client = TestClient(base: server.base, token: token)
        if let tasks {
            let admin = client.with(token: tasks.adminToken)
            let findings = try await CrashTasksAudit(user: client, admin: admin, plan: plan, ledger: ledger).run()
            outcome.failures += findings.failures
            outcome.tasks += findings.tasks
            outcome.openTasks += findings.open
            outcome.effects += findings.effects
        }
        let state = ledger.all
        for stored in state.files.values {
            if let failure = try await problem(with: stored, client) { outcome.failures.append(failure) }
            outcome.files += 1
        }
        for upload in state.uploads.values where upload.completed == nil {
            outcome.acknowledgedChunks += upload.acknowledged.count
            if let failure = try await finish(upload, client) { outcome.failures.append(failure) } else { outcome.resumed += 1 }
        }
        let streams = try await CrashStreamAudit(client: client, port: server.port, state: state).run()
        outcome.failures += streams.failures
        outcome.streams += streams.resumed
        outcome.keptBytes += streams.keptBytes
        // Uploads whose creation was not acknowledged may be there: nobody knows of them, so they are cancelled.
        let open: [UploadSummary] = try await client.get("/files/upload/tasks?status=InProgress&limit=500").decode()
        for upload in open where state.uploads[upload.taskId] == nil && !streams.known.contains(upload.taskId) {
            let reply = try await client.delete("/files/upload/task/\(upload.taskId)")
            if reply.status >= 300 { outcome.failures.append("an unknown upload cannot be cancelled: \(reply)") }
        }
        let quota = try await client.quota()
        if quota.reservedBytes != 0 { outcome.failures.append("\(quota.reservedBytes) bytes stay reserved") }
        let exit = try await server.terminate()
        if exit != .exited(0) { outcome.failures.append("stop: \(exit)\n\(server.log.suffix(3000))") }
        let check = try await data.check()
        if check.exit != .exited(0) { outcome.failures.append("drive check: \(check.exit)\n\(check.output)\(check.errors)") }
    }

    private func problem(with stored: CrashLedger.Stored, _ client: TestClient) async throws -> String? {
        let reply = try await client.get("/files/\(stored.file.id)")
        if stored.deleted { return reply.status == 404 ? nil : "a deleted file is back: \(reply.status)" }
        if stored.deleteAsked, reply.status == 404 { return nil }
        guard reply.status == 200 else { return "an acknowledged file is lost: \(reply)" }
        return reply.body == stored.bytes ? nil : "an acknowledged file has other bytes: \(stored.file.id)"
    }

    /// Resumes an upload that was not acknowledged as complete, and finishes it.
    private func finish(_ upload: CrashLedger.Upload, _ client: TestClient) async throws -> String? {
        let task = upload.open.taskId
        let reply = try await client.get("/files/upload/resume/\(task)")
        if upload.cancelled || upload.cancelAsked, reply.error?.code == "TASK_CLOSED" { return nil }
        if upload.cancelled { return "a cancelled upload is back: \(reply)" }
        guard reply.status == 200 else { return "an acknowledged upload is lost: \(reply)" }
        let resume: ResumeInformation = try reply.decode()
        // A completion whose answer was lost may have happened.
        if resume.status != .completed {
            let lost = upload.acknowledged.subtracting(resume.uploadedChunks)
            guard lost.isEmpty else { return "acknowledged chunks are lost: \(lost.sorted()) of \(task)" }
            for index in upload.open.indexes where !resume.uploadedChunks.contains(index) {
                let sent = try await client.sendChunk(index, of: upload.open)
                guard sent.status == 200 else { return "chunk \(index) after the restart: \(sent)" }
            }
        }
        let completed = try await client.complete(task)
        guard completed.status == 200 else { return "complete after the restart: \(completed)" }
        let file: CloudFile = try completed.decode()
        let content = try await client.get("/files/\(file.id)")
        guard content.status == 200, content.body == upload.open.bytes else { return "the finished file differs: \(content.status)" }
        return nil
    }
}
