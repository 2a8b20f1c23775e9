import DriveDatabase
import DriveEvents
import DriveModel
import DriveTasks
import Foundation

/// What a bulk operation does to one file, as a part of the transaction of its slice. Every change is what `FileService`
/// would do and is audited like it.
struct BulkChange: Sendable {
    let operation: BulkRequest.Operation
    let isDryRun: Bool
    let caller: Caller
    let surroundings: Surroundings
    let now: Timestamp
    /// When the task began.
    let start: Timestamp
    /// The pool files move to, where they do.
    let target: Pool?

    /// Changes a file whose row is held, or says what would be done. An event of the change is added to `events`.
    func apply(to row: SQLRow, at position: Int, events: inout [DriveEvent], in sql: any SQLSession) throws -> TaskItem {
        let file = try FileRow.cloudFile(row)
        do {
            guard let change = try change(of: file, at: position, in: sql) else { return TaskItem(itemId: file.id, outcome: .skipped) }
            if isDryRun { return TaskItem(itemId: file.id, outcome: .planned, message: change.foreseen) }
            if let event = try change.make() { events.append(event) }
            return TaskItem(itemId: file.id, outcome: .succeeded)
        } catch let error as DriveError {
            return ItemFailure(error).item(file.id)
        }
    }

    /// What there is to do to one file.
    private struct Change {
        /// What a dry run says of it beyond that it would be done.
        var foreseen: String?
        var make: () throws -> DriveEvent?

        init(foreseen: String? = nil, _ make: @escaping () throws -> DriveEvent?) {
            self.foreseen = foreseen
            self.make = make
        }
    }

    /// What there is to do; nil where it is so already. Throws the rule that refuses, before anything is changed.
    private func change(of file: CloudFile, at position: Int, in sql: any SQLSession) throws -> Change? {
        switch operation {
        case .delete:
            return Change {
                let removed = try FileService.remove(file.id, account: caller.accountId, now: now, in: sql)
                try audit("file.delete", file, in: sql)
                return removed.map { FileEvents.deleted($0, because: .deleted, now: now) }
            }
        case .move(_, let bundle):
            // Only what a dry run says: files are moved one by one, by `FileMover`.
            guard let target, target.id != file.poolId || (bundle != nil && bundle != file.bundleId) else { return nil }
            if let refusal = FileMover.refusal(of: file, in: target) { throw refusal }
            return Change { nil }
        case .rename(let template):
            let name = try template.name(for: file, at: position)
            guard name != file.name else { return nil }
            return Change(foreseen: "\(file.name) → \(name)") {
                try set("name = $2, name_folded = $4", [.text(name)], [.text(FileName.folded(name))], file, in: sql) { $0.name = name }
            }
        case .setExpiry(let time): return try expiry(time, of: file, in: sql)
        case .setExpiryAfter(let days): return try expiry(start + .seconds(days * 86_400), of: file, in: sql)
        case .addToBundle(let bundle):
            guard try FileRow.holdBundle(bundle, account: caller.accountId, now: now, in: sql) else { throw FileRow.noBundle }
            guard file.bundleId != bundle else { return nil }
            return Change { try set("bundle_id = $2", [.uuid(bundle)], [], file, in: sql) { $0.bundleId = bundle } }
        case .removeFromBundle:
            guard file.bundleId != nil else { return nil }
            return Change { try set("bundle_id = $2", [.null], [], file, in: sql) { $0.bundleId = nil } }
        }
    }

    private func expiry(_ time: Timestamp?, of file: CloudFile, in sql: any SQLSession) throws -> Change? {
        guard file.expiredAt != time else { return nil }
        try UploadService.checkExpiry(time, now: now)
        return Change { try set("expired_at = $2", [.timestamp(time)], [], file, in: sql) { $0.expiredAt = time } }
    }

    private func set(
        _ columns: String, _ value: [SQLValue], _ more: [SQLValue], _ file: CloudFile, in sql: any SQLSession,
        _ change: (inout CloudFile) -> Void
    ) throws -> DriveEvent? {
        try sql.execute(
            "UPDATE files SET \(columns), updated_at = $3 WHERE id = $1", [.text(file.id)] + value + [.timestamp(now)] + more)
        try audit("file.update", file, in: sql)
        var changed = file
        change(&changed)
        changed.updatedAt = now
        return FileEvents.updated(from: file, to: changed)
    }

    private func audit(_ action: String, _ file: CloudFile, in sql: any SQLSession) throws {
        try AuditTrail.append(action, on: "file", id: file.id, by: caller, surroundings: surroundings, in: sql)
    }
}
