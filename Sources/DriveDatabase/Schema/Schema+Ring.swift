extension Schema {
    /// Version 6: the devices, preferences and past notifications of accounts, and how far their events became notifications.
    enum Ring {
        static let statements = [
            // What a packet of another program brings beside its type and data. Null: an event of our own.
            "ALTER TABLE events ADD COLUMN relay {json}",
            // Events that may become notifications, a few among many. A query has to say the same condition, in the same words.
            """
            CREATE INDEX idx_events_news ON events (created_at) WHERE type IN ('batch.completed', 'notification.received',
            'quota.warning', 'task.cancelled', 'task.completed', 'task.expired', 'task.failed') AND relay IS NULL
            """,
            // `token` is sealed with the master key. `fingerprint` is keyed too: one token has one, and it gives nothing away.
            """
            CREATE TABLE ring_devices (
                id {uuid} PRIMARY KEY, account_id {uuid} NOT NULL, platform {text} NOT NULL, name {text}, token {text} NOT NULL,
                fingerprint {text} NOT NULL UNIQUE, created_at {timestamp} NOT NULL, registered_at {timestamp} NOT NULL,
                last_success_at {timestamp}, last_failure {text})
            """,
            "CREATE INDEX idx_ring_devices_account ON ring_devices (account_id, registered_at)",
            // Without a row a kind has its default.
            """
            CREATE TABLE ring_preferences (
                account_id {uuid} NOT NULL, kind {text} NOT NULL, delivery {text} NOT NULL, PRIMARY KEY (account_id, kind)){clustered}
            """,
            // `sequence` is the number of the event that it tells of: none is told of twice.
            """
            CREATE TABLE ring_notifications (
                account_id {uuid} NOT NULL, sequence {bigint} NOT NULL, id {uuid} NOT NULL, kind {text} NOT NULL, title {text} NOT NULL,
                subtitle {text} NOT NULL, body {text} NOT NULL, meta {json} NOT NULL, action_uri {text}, task_id {text},
                created_at {timestamp} NOT NULL, read_at {timestamp}, PRIMARY KEY (account_id, sequence)){clustered}
            """,
            "CREATE INDEX idx_ring_notifications_unread ON ring_notifications (account_id, sequence) WHERE read_at IS NULL",
            "CREATE INDEX idx_ring_notifications_created ON ring_notifications (created_at)",
            // All events of the account up to this number were looked at.
            "CREATE TABLE ring_cursors (account_id {uuid} PRIMARY KEY, sequence {bigint} NOT NULL){clustered}",
            // What happened before there were notifications is nobody's news.
            "INSERT INTO ring_cursors (account_id, sequence) SELECT account_id, last_sequence FROM event_sequences",
            // Who is where on which server: `connected`, `foreground` (somebody looks at the screen), or `device:` and its id. Each
            // server says so again before it expires.
            """
            CREATE TABLE ring_presence (
                account_id {uuid} NOT NULL, place {text} NOT NULL, server_id {text} NOT NULL, expires_at {timestamp} NOT NULL,
                PRIMARY KEY (account_id, place, server_id)){clustered}
            """,
            "CREATE INDEX idx_ring_presence_server ON ring_presence (server_id)",
            "CREATE INDEX idx_ring_presence_expires ON ring_presence (expires_at)",
        ]
    }
}
