import DriveDatabase
import DriveModel
import Foundation

extension TaskEngine {
    /// Rows that fell due are put into their lanes at most so many at a time.
    private static let dueBatch = 500

    /// Takes up to `count` waiting tasks of a queue for a worker. Claims of all servers go one after the other, so that limits
    /// and turns hold exactly; each is short.
    ///
    /// - Parameter account: tasks of this account alone; nil: of all.
    /// - Parameter types: tasks of these types alone; nil: of all this program knows.
    func claim(
        _ count: Int, queue: String, worker: String, account: UUID? = nil, types: Set<String>? = nil, in sql: any SQLSession
    ) throws -> [ClaimedTask] {
        if sql.dialect == .postgresql { try sql.query("SELECT pg_advisory_xact_lock(7417653012392)") }
        let now = surroundings.now()
        try promoteDue(now: now, in: sql)
        let state = try sql.first("SELECT virtual_time, starts FROM task_queues WHERE queue = $1", [.text(queue)])
        let limits = limits()
        var planner = TurnPlanner(
            accounts: [], virtualTime: try state?.int64("virtual_time") ?? 0, starts: try state?.int64("starts") ?? 0, limits: limits,
            running: limits.isUnlimited ? TurnPlanner.Running() : try running(in: sql))
        var sources: [Int64: LaneSource] = [:]
        var chosen: [Choice] = []
        var (seen, page) = (0, count + 16)
        while chosen.count < count {
            let accounts = try waitingAccounts(
                queue: queue, account: account, types: types, from: seen, atMost: page, in: sql)
            planner.add(accounts.items)
            let portion = max(4, (count + planner.accounts.count - 1) / max(1, planner.accounts.count) + 1)
            chosen += try planner.choose(count - chosen.count) { lane in
                try sources[lane.id, default: LaneSource(laneId: lane.id, portion: portion)].next(in: sql)
            }
            guard accounts.isFull else { break }
            // All of these may be held back by limits: others come behind them.
            seen += page
            page = min(page * 4, 4096)
        }
        planner.levelHeldBack()
        let claimed = chosen.isEmpty ? [] : try take(chosen, worker: worker, now: now, in: sql)
        try keep(planner, queue: queue, in: sql)
        // Last, as everybody takes these rows last.
        var byLane: [Int64: Int64] = [:]
        for task in claimed { byLane[task.laneId, default: 0] += 1 }
        try addRunning(byLane, in: sql)
        return claimed
    }

    // MARK: Reading

    private func waitingAccounts(
        queue: String, account: UUID?, types: Set<String>?, from offset: Int, atMost limit: Int, in sql: any SQLSession
    ) throws -> (items: [TurnPlanner.Account], isFull: Bool) {
        let columns = "account_id, tag, lane_time FROM task_accounts WHERE queue = $1 AND is_waiting"
        // Never waits for who adds to them: no cycle can arise, and their notification brings the next claim.
        let lock = sql.dialect.forNoKeyUpdateSkipLocked
        var rows: [SQLRow]
        var isFull = false
        if let account {
            rows = try sql.query("SELECT \(columns) AND account_id = $2\(lock)", [.text(queue), .uuid(account)])
        } else {
            rows = try sql.query(
                "SELECT \(columns) ORDER BY turn, tag LIMIT $2 OFFSET $3\(lock)", [.text(queue), .int(limit), .int(offset)])
            isFull = rows.count == limit
            if isFull, offset == 0 {
                // Whom priority keeps behind all others is among the candidates too.
                rows += try sql.query("SELECT \(columns) ORDER BY tag LIMIT $2\(lock)", [.text(queue), .int(8)])
            }
        }
        var accounts: [UUID: TurnPlanner.Account] = [:]
        var order: [UUID] = []
        for row in rows {
            let id = try row.uuid("account_id")
            guard accounts[id] == nil else { continue }
            order.append(id)
            accounts[id] = TurnPlanner.Account(
                id: id, tag: try row.int64("tag"), laneTime: try row.int64("lane_time"), lanes: [])
        }
        guard !order.isEmpty else { return ([], isFull) }
        let lanes = try sql.query(
            """
            SELECT lane_id, account_id, type, pool_key, priority, tag FROM task_lanes
            WHERE queue = $1 AND account_id \(sql.dialect.isAnyUUID("$2")) AND is_waiting\(lock)
            """, [.text(queue), sql.dialect.list(order.map { $0.lowercaseString })])
        // A type that a newer server made waits for one that knows it.
        for row in lanes {
            let type = try row.text("type")
            guard TaskType(rawValue: String(type.prefix { $0 != ":" })) != nil, types?.contains(type) ?? true else { continue }
            accounts[try row.uuid("account_id")]?.lanes.append(
                TurnPlanner.Lane(
                    id: try row.int64("lane_id"), type: type, pool: try row.text("pool_key"),
                    priority: try row.int("priority"), tag: try row.int64("tag")))
        }
        return (order.compactMap { accounts[$0] }, isFull)
    }

    private func running(in sql: any SQLSession) throws -> TurnPlanner.Running {
        var running = TurnPlanner.Running()
        let rows = try sql.query(
            """
            SELECT l.account_id, l.type, l.pool_key, r.running FROM task_running r JOIN task_lanes l ON l.lane_id = r.lane_id
            WHERE r.running > 0
            """)
        for row in rows {
            running.add(
                try row.int("running"), account: try row.uuid("account_id"), type: try row.text("type"), pool: try row.text("pool_key"))
        }
        return running
    }

    /// A waiting task that was chosen.
    private struct Choice {
        var taskId: String
        var laneId: Int64
    }

    /// A lane's tasks in their order, read in portions.
    private struct LaneSource {
        let laneId: Int64
        let portion: Int
        private var buffer: ArraySlice<String> = []
        /// The place of the last one that was read.
        private var last: (rank: Int64, taskId: String) = (.min, "")
        private var isEmpty = false

        init(laneId: Int64, portion: Int) {
            self.laneId = laneId
            self.portion = portion
        }

        mutating func next(in sql: any SQLSession) throws -> Choice? {
            if buffer.isEmpty, !isEmpty {
                let rows = try sql.query(
                    """
                    SELECT task_id, rank FROM tasks WHERE lane_id = $1 AND status = 'Pending' AND rank IS NOT NULL
                    AND (rank > $3 OR (rank = $3 AND task_id > $4)) ORDER BY rank, task_id LIMIT $2\(sql.dialect.forUpdateSkipLocked)
                    """, [.integer(laneId), .int(portion), .integer(last.rank), .text(last.taskId)])
                buffer = try ArraySlice(rows.map { try $0.text("task_id") })
                if let row = rows.last { last = (try row.int64("rank"), try row.text("task_id")) }
                isEmpty = rows.count < portion
            }
            return buffer.popFirst().map { Choice(taskId: $0, laneId: laneId) }
        }
    }

    // MARK: Changing

    private func take(_ chosen: [Choice], worker: String, now: Timestamp, in sql: any SQLSession) throws -> [ClaimedTask] {
        let rows = try sql.query(
            """
            UPDATE tasks SET status = 'InProgress', lease_owner = $2, fencing_token = fencing_token + 1, attempt = attempt + 1,
                started_at = COALESCE(started_at, $3), attempt_started_at = $3, last_activity = $3, updated_at = $3
            WHERE task_id \(sql.dialect.isAny("$1")) AND status = 'Pending' RETURNING \(ClaimedTask.columns)
            """, [sql.dialect.list(chosen.map(\.taskId)), .text(worker), .timestamp(now)])
        let position = Dictionary(chosen.enumerated().map { ($1.taskId, $0) }, uniquingKeysWith: { first, _ in first })
        return try rows.map { try ClaimedTask($0) }.sorted { position[$0.taskId] ?? 0 < position[$1.taskId] ?? 0 }
    }

    /// Changes how many tasks of each lane run.
    func addRunning(_ byLane: [Int64: Int64], in sql: any SQLSession) throws {
        guard !byLane.isEmpty else { return }
        var rows = SQLRows()
        for (lane, change) in byLane.sorted(by: { $0.key < $1.key }) {
            rows.append { row in
                row.add("lane_id", lane)
                row.add("change", change)
            }
        }
        try sql.execute(
            """
            INSERT INTO task_running (lane_id, running)
            SELECT x.lane_id, x.change FROM \(sql.dialect.rows("$1", ["lane_id": .bigint, "change": .bigint])) WHERE 1 = 1
            ON CONFLICT (lane_id) DO UPDATE SET running = task_running.running + excluded.running
            """, [rows.value])
    }

    /// Stores the turns after a plan, and which lanes and accounts wait no more.
    private func keep(_ planner: TurnPlanner, queue: String, in sql: any SQLSession) throws {
        var lanes = SQLRows()
        var accounts = SQLRows()
        for lane in planner.emptied.sorted() { try endWaiting(lane: lane, in: sql) }
        for (lane, tag) in planner.laneTags.sorted(by: { $0.key < $1.key }) {
            lanes.append { row in
                row.add("lane_id", lane)
                row.add("tag", tag)
            }
        }
        for account in planner.accounts where planner.servedAccounts.contains(account.id) {
            accounts.append { row in
                row.add("account_id", account.id.lowercaseString)
                row.add("tag", account.tag)
                row.add("lane_time", account.laneTime)
                row.add("turn", account.turn ?? account.tag)
            }
        }
        if !lanes.isEmpty {
            try sql.execute(
                """
                UPDATE task_lanes SET tag = x.tag FROM \(sql.dialect.rows("$1", ["lane_id": .bigint, "tag": .bigint]))
                WHERE task_lanes.lane_id = x.lane_id
                """, [lanes.value])
        }
        if !accounts.isEmpty {
            let table = sql.dialect.rows("$1", ["account_id": .uuid, "tag": .bigint, "lane_time": .bigint, "turn": .bigint])
            try sql.execute(
                """
                UPDATE task_accounts SET tag = x.tag, lane_time = x.lane_time, turn = x.turn FROM \(table)
                WHERE task_accounts.queue = $2 AND task_accounts.account_id = x.account_id
                """, [accounts.value, .text(queue)])
            try sql.execute(
                """
                INSERT INTO task_queues (queue, virtual_time, starts) VALUES ($1, $2, $3)
                ON CONFLICT (queue) DO UPDATE SET virtual_time = excluded.virtual_time, starts = excluded.starts
                """, [.text(queue), .integer(planner.virtualTime), .integer(planner.starts)])
        }
        for account in planner.accounts where account.lanes.isEmpty { try endWaiting(account: account.id, queue: queue, in: sql) }
    }

    /// Marks a lane as empty where it is. Whoever is adding to it holds it, and then it stays as it is until the next claim.
    private func endWaiting(lane: Int64, in sql: any SQLSession) throws {
        let held = try sql.first("SELECT lane_id FROM task_lanes WHERE lane_id = $1\(sql.dialect.forUpdateSkipLocked)", [.integer(lane)])
        guard held != nil else { return }
        // A statement of its own, so that it sees what was committed before the lock was had.
        try sql.execute(
            """
            UPDATE task_lanes SET is_waiting = $2 WHERE lane_id = $1 AND NOT EXISTS
            (SELECT 1 FROM tasks WHERE lane_id = $1 AND status = 'Pending' AND rank IS NOT NULL)
            """, [.integer(lane), .bool(false)])
    }

    private func endWaiting(account: UUID, queue: String, in sql: any SQLSession) throws {
        let key: [SQLValue] = [.text(queue), .uuid(account)]
        let held = try sql.first(
            "SELECT tag FROM task_accounts WHERE queue = $1 AND account_id = $2 AND is_waiting\(sql.dialect.forUpdateSkipLocked)", key)
        guard held != nil else { return }
        try sql.execute(
            """
            UPDATE task_accounts SET is_waiting = $3 WHERE queue = $1 AND account_id = $2 AND NOT EXISTS
            (SELECT 1 FROM task_lanes WHERE queue = $1 AND account_id = $2 AND is_waiting)
            """, key + [.bool(false)])
    }

    // MARK: Time

    private func promoteDue(now: Timestamp, in sql: any SQLSession) throws {
        let due = try sql.query(
            """
            SELECT task_id, queue, account_id, type, kind, pool_id, priority FROM tasks
            WHERE status = 'Pending' AND rank IS NULL AND run_at IS NOT NULL AND waits_for = 0 AND run_at <= $1
            ORDER BY run_at LIMIT $2\(sql.dialect.forUpdateSkipLocked)
            """, [.timestamp(now), .int(Self.dueBatch)])
        // A type that a newer server made waits for one that knows it.
        try makeReady(try due.compactMap { try ReadyTask($0) }, in: sql)
    }

    /// Which of these queues have waiting tasks, when the next task falls due, and whether the time of one is over: looked at
    /// before a claim, which is a write.
    func outlook(_ queues: [String], in sql: any SQLSession) throws -> (waiting: [String], due: Timestamp?, isExpired: Bool) {
        let waiting = try queues.filter { queue in
            try sql.first("SELECT 1 AS waiting FROM task_accounts WHERE queue = $1 AND is_waiting LIMIT 1", [.text(queue)]) != nil
        }
        return (waiting, try nextDue(in: sql), try isAnyExpired(in: sql))
    }

    /// When the next task falls due; nil where none waits for its time.
    func nextDue(in sql: any SQLSession) throws -> Timestamp? {
        try sql.first(
            "SELECT MIN(run_at) AS due FROM tasks WHERE status = 'Pending' AND rank IS NULL AND run_at IS NOT NULL AND waits_for = 0"
        )?.optionalTimestamp("due")
    }
}
