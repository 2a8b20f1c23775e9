import DriveCrypto
import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import DriveTasks
import Foundation
import Logging
import Synchronization

/// The life of an upload: one core, of which the Drive API, tus and the IETF draft are thin faces.
///
/// Its parts stand in extensions, one file each: create, chunk, complete, end, direct, queries.
public final class UploadService: Sendable {
    public let database: any Database
    public let pools: PoolDirectory
    public let settings: UploadSettings
    /// Told of uploads that ended, for tasks that wait for them; nil where nothing does.
    let tasks: TaskEngine?
    let io: IOPool
    let surroundings: Surroundings
    let logger: Logger
    let bootId: String
    let pieces: PiecePool
    let sessions = Mutex<[SessionKey: SessionEntry]>([:])
    /// Concatenations that are being put together now, by the final upload's id.
    let assemblies = Mutex(Assemblies())

    struct Assemblies {
        var running: [String: Task<Void, Never>] = [:]
        /// Those that are to run once more.
        var again: Set<String> = []
        var isStopping = false
    }

    /// The account is part of the key, so that nobody's look-up stands in another's way.
    struct SessionKey: Hashable {
        var taskId: String
        var account: UUID
    }

    enum SessionEntry {
        case loading(Task<any OpenUpload, any Error>)
        case open(any OpenUpload)
    }

    public init(
        database: any Database, pools: PoolDirectory, io: IOPool, settings: UploadSettings, surroundings: Surroundings = .system,
        bootId: String = BootIdentity.current(), tasks: TaskEngine? = nil, logger: Logger
    ) {
        self.tasks = tasks
        self.database = database
        self.pools = pools
        self.io = io
        self.settings = settings
        self.surroundings = surroundings
        self.bootId = bootId
        self.logger = logger
        pieces = PiecePool(total: settings.writeMemory, largest: settings.writePiece)
    }

    /// Uploads that are open in memory.
    public var openSessionCount: Int { sessions.withLock { $0.count } }

    // MARK: Sessions

    /// Runs `body` with the open upload, loading it where this process does not have it. While it runs, nothing evicts
    /// the upload. Throws `TASK_NOT_FOUND` also for another's.
    func withSession<Result>(
        _ taskId: String, account: UUID, _ body: (UploadSession) async throws -> Result
    ) async throws -> Result {
        let open = try await session(taskId, account: account)
        defer { open.endUse() }
        guard let session = open as? UploadSession else {
            throw DriveError(
                .taskClosed, "The bytes of this upload come as one stream, through the protocol that began it: it takes no chunks.",
                details: ["taskId": .string(taskId), "rule": "face"])
        }
        return try await body(session)
    }

    func session(_ taskId: String, account: UUID) async throws -> any OpenUpload {
        let key = SessionKey(taskId: taskId, account: account)
        while true {
            let entry: SessionEntry = sessions.withLock { sessions in
                if let entry = sessions[key] {
                    if case .open(let session) = entry { session.beginUse() }
                    return entry
                }
                let entry = SessionEntry.loading(Task { try await self.load(taskId, account: account) })
                sessions[key] = entry
                return entry
            }
            let task: Task<any OpenUpload, any Error>
            switch entry {
            case .open(let session): return session
            case .loading(let loading): task = loading
            }
            do {
                let session = try await task.value
                guard beginUse(of: session, loadedBy: task, key: key) else { continue }
                evictBeyondLimit()
                return session
            } catch {
                sessions.withLock { sessions in
                    if case .loading(let current) = sessions[key], current == task { sessions[key] = nil }
                }
                throw error
            }
        }
    }

    /// False where another waiter of the same load used the upload meanwhile and it was evicted or ended: whoever comes
    /// next would open it a second time.
    private func beginUse(of session: any OpenUpload, loadedBy task: Task<any OpenUpload, any Error>, key: SessionKey) -> Bool {
        sessions.withLock { sessions in
            switch sessions[key] {
            case .loading(let current) where current == task: sessions[key] = .open(session)
            case .open(let current) where current === session: break
            default: return false
            }
            session.beginUse()
            return true
        }
    }

    static func notFound(_ taskId: String) -> DriveError {
        DriveError(.taskNotFound, "There is no upload with this id.", details: ["taskId": .string(taskId)])
    }

    /// Keeps a new upload open, unless a client that learned of it by its event has opened it already, or is about to.
    func keep(_ session: any OpenUpload) {
        let key = SessionKey(taskId: session.taskId, account: session.accountId)
        sessions.withLock { sessions in
            if sessions[key] == nil { sessions[key] = .open(session) }
        }
        evictBeyondLimit()
    }

    func forget(_ taskId: String, account: UUID) {
        sessions.withLock { $0[SessionKey(taskId: taskId, account: account)] = nil }
    }

    /// Each open upload holds a file descriptor: beyond the limit the longest unused ones are closed, and open again
    /// from their rows.
    private func evictBeyondLimit() {
        sessions.withLock { sessions in
            guard sessions.count > settings.maximumOpenSessions else { return }
            let idle = sessions.compactMap { key, entry -> (SessionKey, ContinuousClock.Instant)? in
                guard case .open(let session) = entry, session.isIdle else { return nil }
                return (key, session.lastUse)
            }
            // Some more than needed, so that the next ones do not look again.
            let excess = sessions.count - settings.maximumOpenSessions * 7 / 8
            for (key, _) in idle.sorted(by: { $0.1 < $1.1 }).prefix(excess) { sessions[key] = nil }
        }
    }

    /// Opens an upload from its rows. After another boot, or where the file is gone, only chunks whose bytes match
    /// their checksum are kept.
    private func load(_ taskId: String, account: UUID) async throws -> any OpenUpload {
        let (record, chunks) = try await database.read { sql -> (UploadRecord, [StoredChunk]) in
            guard let record = try UploadRecord.find(taskId, account: account, in: sql) else { throw Self.notFound(taskId) }
            let rows = try sql.query(
                "SELECT chunk_index, checksum FROM upload_chunks WHERE session_id = $1 ORDER BY chunk_index", [.uuid(record.id)])
            return (record, try rows.map { StoredChunk(index: try $0.int("chunk_index"), checksum: try $0.text("checksum")) })
        }
        if UploadFace.isStream(record.face) { return try await loadStream(record) }
        if record.status == .paused { throw UploadSession.closedError(.paused, taskId: taskId) }
        guard !record.status.isTerminal, record.face != UploadFace.direct else {
            throw UploadSession.closedError(record.status.isTerminal ? record.status : .failed, taskId: taskId)
        }
        let opened = try await pools.open(record.poolId)
        var file = try await opened.store.openStaging(record.stagingName)
        if file == nil, try await reclaim(record, store: opened.store) {
            file = try await opened.store.openStaging(record.stagingName)
        }
        var kept = chunks
        if file == nil || record.bootId != bootId {
            if let file {
                kept = try await verified(chunks, of: record, in: file)
            } else {
                kept = []
                file = try await opened.store.createStaging(record.stagingName, size: record.plan.fileSize, keepSize: false)
            }
            try await settleRecovery(of: record, kept: kept, lost: chunks.count - kept.count)
        }
        guard let file else { throw DriveError(.storageFailed, "The upload's staging file cannot be opened.", retryAfter: 5) }
        // The hash resumes only where every byte it covers is still kept.
        var frontier = FileDigest()
        if kept.count == chunks.count, let state = record.hashState, let saved = FileDigest(savedState: state),
            saved.byteCount == record.hashedBytes
        {
            frontier = saved
        }
        let session = UploadSession(
            record: record, file: file, pool: opened.store, io: io, received: kept.map(\.index), frontier: frontier,
            stallTime: settings.stallTime)
        startFollower(session)
        return session
    }

    struct StoredChunk: Sendable {
        var index: Int
        var checksum: String
    }

    private func verified(_ chunks: [StoredChunk], of record: UploadRecord, in file: OpenFile) async throws -> [StoredChunk] {
        var kept: [StoredChunk] = []
        for chunk in chunks {
            guard let size = record.plan.size(of: chunk.index) else { continue }
            let offset = record.plan.offset(of: chunk.index)
            do {
                let crc = try await RangeHasher.crc32c(file, range: offset..<offset + size, io: io)
                if CRC32C.hex(crc) == chunk.checksum { kept.append(chunk) }
            } catch let error as StorageError {
                logger.error(
                    "a staged chunk cannot be read", metadata: ["task": "\(record.taskId)", "chunk": "\(chunk.index)", "error": "\(error)"])
            }
        }
        return kept
    }

    private func settleRecovery(of record: UploadRecord, kept: [StoredChunk], lost: Int) async throws {
        if lost > 0 {
            logger.warning(
                "chunks did not survive the machine's restart and are asked for again",
                metadata: ["task": "\(record.taskId)", "lost": "\(lost)", "kept": "\(kept.count)"])
        }
        let bytes = kept.reduce(Int64(0)) { $0 + (record.plan.size(of: $1.index) ?? 0) }
        let keptIndexes = Set(kept.map(\.index))
        let bootId = bootId
        try await database.write { sql in
            if lost > 0 {
                let rows = try sql.query("SELECT chunk_index FROM upload_chunks WHERE session_id = $1", [.uuid(record.id)])
                for row in rows where !keptIndexes.contains(try row.int("chunk_index")) {
                    try sql.execute(
                        "DELETE FROM upload_chunks WHERE session_id = $1 AND chunk_index = $2",
                        [.uuid(record.id), .integer(try row.int64("chunk_index"))])
                }
                try sql.execute(
                    """
                    UPDATE upload_tasks SET chunks_uploaded = $2, bytes_uploaded = $3, hashed_bytes = 0, hash_state = NULL
                    WHERE task_id = $1
                    """, [.text(record.taskId), .int(kept.count), .integer(bytes)])
            }
            try sql.execute("UPDATE upload_tasks SET boot_id = $2 WHERE task_id = $1", [.text(record.taskId), .text(bootId)])
        }
    }

    // MARK: The follower

    /// Hashes kept chunks behind the frontier, one job per upload, until it meets a chunk that is not there.
    func startFollower(_ session: UploadSession) {
        session.withState { state in
            guard state.follower == nil, state.followerFailure == nil, Self.nextRange(state) != nil else { return }
            state.follower = Task { await self.follow(session) }
        }
    }

    private func follow(_ session: UploadSession) async {
        // Ends under the lock, so that a chunk accepted after the last look starts a new follower.
        while let (range, hash, epoch) = session.withState({ state -> (Range<Int64>, FileDigest, UInt64)? in
            guard state.closedAs == nil, state.followerFailure == nil, let range = Self.nextRange(state) else {
                state.follower = nil
                return nil
            }
            return (range, state.frontier, state.epoch)
        }) {
            do {
                let result = try await RangeHasher.hash(session.file, range: range, continuing: hash, io: io) { position, _ in
                    session.withState { state in
                        guard state.closedAs == nil, state.epoch == epoch else { return false }
                        state.verifiedBytes = position
                        return true
                    }
                }
                if let result { session.withState { $0.advance(to: result, epoch: epoch) } }
            } catch {
                logger.error("a staged file cannot be read", metadata: ["task": "\(session.record.taskId)", "error": "\(error)"])
                session.withState { $0.followerFailure = error as? StorageError ?? StorageError("pread", 5) }
            }
        }
    }

    /// The bytes of kept chunks that begin at the frontier, at most 64 MiB at a time so that progress is kept.
    private static func nextRange(_ state: UploadSession.State) -> Range<Int64>? {
        let plan = state.ledger.plan
        let start = state.frontier.byteCount
        guard start < plan.fileSize else { return nil }
        var index = Int(start / plan.chunkSize)
        var end = start
        while index < plan.count, state.ledger.isReceived(index), end - start < 64 << 20, let size = plan.size(of: index) {
            end = plan.offset(of: index) + size
            index += 1
        }
        return end > start ? start..<end : nil
    }
}

/// Through which door an upload came.
public enum UploadFace {
    public static let chunks = "drive"
    public static let direct = "direct"
    public static let tus = "tus"
    public static let resumable = "resumable"

    /// Whether the bytes come as one stream.
    static func isStream(_ face: String) -> Bool { face == tus || face == resumable }
}
