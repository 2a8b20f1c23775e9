extension Schema {
    /// Version 4: the task engine's queue, workers, batches, timetables.
    enum Tasks {
        static let statements = columns + queue + records

        private static let columns = [
            // What a Custom task is.
            "ALTER TABLE tasks ADD COLUMN kind {text}",
            "ALTER TABLE tasks ADD COLUMN lane_id {bigint}",
            "ALTER TABLE tasks ADD COLUMN pool_id {uuid}",
            // Bytes or items, by which the duration is estimated.
            "ALTER TABLE tasks ADD COLUMN size {bigint}",
            "ALTER TABLE tasks ADD COLUMN unique_key {text}",
            "ALTER TABLE tasks ADD COLUMN batch_id {text}",
            // Tasks that must be completed first.
            "ALTER TABLE tasks ADD COLUMN waits_for {int} NOT NULL DEFAULT 0",
            "ALTER TABLE tasks ADD COLUMN has_dependents {bool} NOT NULL DEFAULT {false}",
            // The attempt that kept the last checkpoint: one that got further costs nothing when its worker is lost.
            "ALTER TABLE tasks ADD COLUMN checkpoint_attempt {int} NOT NULL DEFAULT 0",
            "ALTER TABLE tasks ADD COLUMN attempt_started_at {timestamp}",
        ]

        /// A task waits in a lane, and lanes wait by account; `TurnPlanner` says who is next.
        private static let queue = [
            "DROP INDEX idx_tasks_queue",
            "CREATE INDEX idx_tasks_ready ON tasks (lane_id, rank) WHERE status = 'Pending' AND rank IS NOT NULL",
            "CREATE INDEX idx_tasks_due ON tasks (run_at) WHERE status = 'Pending' AND rank IS NULL AND run_at IS NOT NULL AND waits_for = 0",
            """
            CREATE UNIQUE INDEX idx_tasks_unique ON tasks (account_id, unique_key)
            WHERE unique_key IS NOT NULL AND status IN ('Pending', 'InProgress', 'Paused')
            """,
            "CREATE INDEX idx_tasks_batch ON tasks (batch_id) WHERE batch_id IS NOT NULL",
            "CREATE INDEX idx_tasks_dead ON tasks (account_id, dead_at) WHERE dead_at IS NOT NULL",
            "{sequence task_order}",
            "{counter task_order}",
            "{counter row task_order}",
            """
            CREATE TABLE task_queues (queue {text} PRIMARY KEY, virtual_time {bigint} NOT NULL, starts {bigint} NOT NULL)
            """,
            """
            CREATE TABLE task_accounts (
                queue {text} NOT NULL, account_id {uuid} NOT NULL, tag {bigint} NOT NULL, lane_time {bigint} NOT NULL,
                turn {bigint} NOT NULL, is_waiting {bool} NOT NULL, PRIMARY KEY (queue, account_id)){clustered}
            """,
            "CREATE INDEX idx_task_accounts_turn ON task_accounts (queue, turn) WHERE is_waiting",
            "CREATE INDEX idx_task_accounts_tag ON task_accounts (queue, tag) WHERE is_waiting",
            """
            CREATE TABLE task_lanes (
                lane_id {serial}, queue {text} NOT NULL, account_id {uuid} NOT NULL, type {text} NOT NULL, pool_key {text} NOT NULL,
                priority {int} NOT NULL, tag {bigint} NOT NULL, is_waiting {bool} NOT NULL,
                UNIQUE (queue, account_id, type, pool_key, priority))
            """,
            // Apart from the lanes, so that who ends a task does not wait for who adds one.
            "CREATE TABLE task_running (lane_id {bigint} PRIMARY KEY, running {bigint} NOT NULL)",
            "CREATE INDEX idx_task_running ON task_running (lane_id) WHERE running > 0",
            // A worker's sign of life is its counter; whose stands still loses its tasks.
            """
            CREATE TABLE task_workers (
                worker_id {text} PRIMARY KEY, name {text} NOT NULL, is_lease {bool} NOT NULL, heartbeat {bigint} NOT NULL,
                started_at {timestamp} NOT NULL)
            """,
        ]

        private static let records = [
            // All files of one blob, as migrations and the checker ask for them.
            "CREATE INDEX idx_files_hash_pool ON files (hash, pool_id)",
            """
            CREATE TABLE task_dependencies (
                task_id {text} NOT NULL, depends_on {text} NOT NULL, PRIMARY KEY (task_id, depends_on)){clustered}
            """,
            "CREATE INDEX idx_task_dependencies_on ON task_dependencies (depends_on)",
            // Attempts that did not complete their task.
            """
            CREATE TABLE task_attempts (
                id {uuid} PRIMARY KEY, task_id {text} NOT NULL, attempt {int} NOT NULL, outcome {text} NOT NULL, error_code {text} NOT NULL,
                error_message {text} NOT NULL, worker {text} NOT NULL, started_at {timestamp}, ended_at {timestamp} NOT NULL)
            """,
            "CREATE INDEX idx_task_attempts_task ON task_attempts (task_id, ended_at)",
            // What became of each thing a task worked on.
            """
            CREATE TABLE task_items (
                task_id {text} NOT NULL, position {int} NOT NULL, item_id {text} NOT NULL, outcome {text} NOT NULL, code {text},
                message {text}, PRIMARY KEY (task_id, position)){clustered}
            """,
            """
            CREATE TABLE task_batches (
                batch_id {text} PRIMARY KEY, account_id {uuid} NOT NULL, name {text} NOT NULL, total {int} NOT NULL,
                completed {int} NOT NULL DEFAULT 0, failed {int} NOT NULL DEFAULT 0, cancelled {int} NOT NULL DEFAULT 0,
                created_at {timestamp} NOT NULL, completed_at {timestamp})
            """,
            "CREATE INDEX idx_task_batches_account ON task_batches (account_id, created_at)",
            """
            CREATE TABLE task_schedules (
                schedule_id {text} PRIMARY KEY, account_id {uuid} NOT NULL, cron {text} NOT NULL, task {json} NOT NULL,
                next_run_at {timestamp} NOT NULL, last_run_at {timestamp}, last_task_id {text}, created_at {timestamp} NOT NULL)
            """,
            "CREATE INDEX idx_task_schedules_next ON task_schedules (next_run_at)",
            """
            CREATE TABLE task_durations (
                kind {text} NOT NULL, size_class {int} NOT NULL, observations {bigint} NOT NULL, mean_seconds {double} NOT NULL,
                PRIMARY KEY (kind, size_class)){clustered}
            """,
        ]
    }
}
