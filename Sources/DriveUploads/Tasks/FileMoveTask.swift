import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import Foundation

/// `FileMove`: moves files between pools, into a bundle, or out of theirs.
///
/// Parameters: `fileIds` (1 to 10,000), and at least one of `targetPoolId`, `targetBundleId` and `removeFromBundle: true`; the
/// latter two exclude each other. A null is like none: who wants files out of their bundle says so. The target pool's rules
/// hold; its default expiry is for new files alone.
struct FileMoveTask: TaskHandler {
    let type = TaskType.fileMove

    private let tools: FileTaskTools

    init(_ tools: FileTaskTools) {
        self.tools = tools
    }

    /// Up to where a task has come.
    private struct State: Codable {
        /// Items done.
        var next = 0
        /// Bytes of all files when the task began, and of those done.
        var totalBytes: Int64 = 0
        var doneBytes: Int64 = 0
        var copiedBytes: Int64 = 0
        var copy: BlobMover.Copy?

        func copying(_ copy: BlobMover.Copy?) -> State {
            var state = self
            state.copy = copy
            return state
        }

        func after(_ done: FileMover.Done) -> State {
            var state = self
            state.next += 1
            state.doneBytes += done.size
            state.copiedBytes += done.copied
            state.copy = nil
            return state
        }

        /// 0 to 100: by bytes, or by files where they are all empty.
        func progress(_ bytes: Int64, of count: Int) -> Double {
            guard totalBytes > 0 else { return Double(next) / Double(max(1, count)) * 100 }
            return min(100, Double(doneBytes + bytes) / Double(totalBytes) * 100)
        }
    }

    private struct Request {
        var ids: [String]
        var aim: FileMover.Aim

        init(_ values: [String: JSONValue]) throws(DriveError) {
            let parameters = try TaskParameters(values, known: ["fileIds", "targetPoolId", "targetBundleId", "removeFromBundle"])
            guard let ids = try parameters.ids("fileIds") else { throw TaskParameters.invalid("fileIds", "is missing") }
            self.ids = ids
            aim = FileMover.Aim(poolId: try parameters.uuid("targetPoolId"))
            let bundle = try parameters.uuid("targetBundleId")
            if try parameters.flag("removeFromBundle") {
                guard bundle == nil else { throw TaskParameters.invalid("removeFromBundle", "excludes targetBundleId") }
                aim.bundleId = .some(nil)
            } else if let bundle {
                aim.bundleId = .some(bundle)
            }
            guard aim.poolId != nil || aim.bundleId != nil else {
                throw TaskParameters.invalid("targetPoolId", "or targetBundleId or removeFromBundle must say where the files are to go")
            }
        }
    }

    func plan(_ parameters: [String: JSONValue], by caller: Caller) async throws -> TaskPlan {
        let request = try Request(parameters)
        try await tools.expectTarget(request.aim, of: caller)
        let size = try await tools.database.read { [now = tools.surroundings.now()] sql in
            try FileSelection.bytes(of: request.ids, account: caller.accountId, now: now, in: sql)
        }
        return TaskPlan(name: "Move files", parameters: parameters, poolId: request.aim.poolId, size: size)
    }

    func run(_ task: any TaskContext) async throws -> [String: JSONValue] {
        let request = try Request(task.parameters)
        var state = try await begin(request, task)
        let mover = FileMover(tools)
        while state.next < request.ids.count {
            let before = state
            let step = FileMover.Step(
                position: before.next, resuming: before.copy,
                copying: { try .encoding(before.copying($0)) },
                done: { try .encoding(before.after($0)) },
                progress: { before.progress($0, of: request.ids.count) })
            state = before.after(try await mover.move(request.ids[before.next], to: request.aim, step: step, for: task))
        }
        let summary = try await tools.database.read { [id = task.taskId] sql in try ItemSummary.read(of: id, in: sql) }
        try await summary.expectSuccess(of: task)
        return [
            "filesProcessed": .integer(Int64(summary.total)), "movedFiles": .integer(Int64(summary[.succeeded])),
            "failedFiles": .integer(Int64(summary[.failed])), "skippedFiles": .integer(Int64(summary[.skipped])),
            "totalBytes": .integer(state.totalBytes), "copiedBytes": .integer(state.copiedBytes), "failures": summary.shownFailures,
        ]
    }

    /// Where the last attempt stood, or the beginning.
    private func begin(_ request: Request, _ task: any TaskContext) async throws -> State {
        if let kept = try task.kept(State.self) { return kept }
        let (account, now) = (task.accountId, tools.surroundings.now())
        var state = State()
        state.totalBytes = try await tools.database.read { sql in
            try FileSelection.bytes(of: request.ids, account: account, now: now, in: sql)
        }
        try await task.commit(checkpoint: .encoding(state), progress: nil, message: nil) { [id = task.taskId] sql in
            try ItemSummary.clear(of: id, in: sql)
        }
        return state
    }
}

extension FileTaskTools {
    /// Refuses a target that is not there or not for the caller: `NOT_FOUND`, `POOL_POLICY`.
    func expectTarget(_ aim: FileMover.Aim, of caller: Caller) async throws {
        if let poolId = aim.poolId {
            do {
                try expectAdmission(of: caller, to: try await pools.open(poolId).pool)
            } catch let error as DriveError where error.code == .notFound {
                throw DriveError(.notFound, error.message, details: ["rule": "targetPoolId"])
            }
        }
        if case .some(.some(let bundle)) = aim.bundleId {
            let now = surroundings.now()
            // A look, which holds nothing.
            let found = try await database.read { sql in
                try FileRow.bundle(bundle, account: caller.accountId, in: sql).map { $0.expiredAt.map { $0 > now } ?? true } ?? false
            }
            guard found else { throw FileRow.noBundle }
        }
    }
}
