extension Schema {
    /// Version 5: tasks whose time runs out, and ends for which more tasks wait than one transaction settles.
    enum TaskEnds {
        static let statements = [
            "ALTER TABLE tasks ADD COLUMN expires_at {timestamp}",
            """
            CREATE INDEX idx_tasks_expiry ON tasks (expires_at)
            WHERE expires_at IS NOT NULL AND status IN ('Pending', 'InProgress', 'Paused')
            """,
            // The task that ended, and how; gone when nobody waits for it any more.
            "CREATE TABLE task_settlements (task_id {text} PRIMARY KEY, status {text} NOT NULL)",
        ]
    }
}
