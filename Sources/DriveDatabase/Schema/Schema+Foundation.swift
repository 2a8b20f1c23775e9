extension Schema {
    /// Version 1: accounts, pools, files, blobs, uploads, and the task and event tables in their final shape.
    enum Foundation {
        static let statements = accounts + storage + tasks + uploads + records

        static let accounts = [
            """
            CREATE TABLE accounts (
                id {uuid} PRIMARY KEY, issuer {text} NOT NULL, subject {text} NOT NULL, name {text} NOT NULL,
                role {text} NOT NULL, quota_bytes {bigint}, created_at {timestamp} NOT NULL,
                disabled_at {timestamp}, UNIQUE (issuer, subject))
            """,
            """
            CREATE TABLE api_tokens (
                id {text} PRIMARY KEY, account_id {uuid} NOT NULL REFERENCES accounts (id), name {text} NOT NULL,
                role {text} NOT NULL, created_at {timestamp} NOT NULL, expires_at {timestamp} NOT NULL, revoked_at {timestamp})
            """,
            "CREATE INDEX idx_api_tokens_account ON api_tokens (account_id)",
            // Bytes count against the quota: size times the pool's cost multiplier, rounded up. `open_bytes` are the sizes of
            // unfinished uploads themselves.
            """
            CREATE TABLE account_usage (
                account_id {uuid} PRIMARY KEY, used_bytes {bigint} NOT NULL DEFAULT 0,
                reserved_bytes {bigint} NOT NULL DEFAULT 0, file_count {bigint} NOT NULL DEFAULT 0,
                open_uploads {bigint} NOT NULL DEFAULT 0, open_bytes {bigint} NOT NULL DEFAULT 0)
            """,
        ]

        static let storage = [
            """
            CREATE TABLE pools (
                id {uuid} PRIMARY KEY, name {text} NOT NULL UNIQUE, kind {text} NOT NULL, settings {json} NOT NULL,
                is_default {bool} NOT NULL DEFAULT {false}, accept_types {json} NOT NULL, max_file_size {bigint},
                allow_anonymous {bool} NOT NULL DEFAULT {false}, require_role {text}, cost_multiplier {double} NOT NULL DEFAULT 1,
                default_expiry_seconds {bigint}, max_open_bytes {bigint}, open_bytes {bigint} NOT NULL DEFAULT 0,
                created_at {timestamp} NOT NULL, updated_at {timestamp} NOT NULL, disabled_at {timestamp})
            """,
            """
            CREATE TABLE bundles (
                id {uuid} PRIMARY KEY, account_id {uuid} NOT NULL, name {text} NOT NULL, description {text},
                expired_at {timestamp}, created_at {timestamp} NOT NULL, updated_at {timestamp} NOT NULL)
            """,
            "CREATE INDEX idx_bundles_account ON bundles (account_id, created_at)",
            "CREATE INDEX idx_bundles_expired ON bundles (expired_at) WHERE expired_at IS NOT NULL",
            // A blob: bytes shared by all files of one content in one pool. Its path is never used a second time.
            """
            CREATE TABLE file_checksums (
                checksum {text} NOT NULL, pool_id {uuid} NOT NULL, file_size {bigint} NOT NULL, storage_path {text} NOT NULL,
                crc32c {bigint} NOT NULL, reference_count {bigint} NOT NULL DEFAULT 1, first_seen_at {timestamp} NOT NULL,
                unreferenced_at {timestamp}, PRIMARY KEY (checksum, pool_id)){clustered}
            """,
            "CREATE UNIQUE INDEX idx_file_checksums_path ON file_checksums (pool_id, storage_path)",
            "CREATE INDEX idx_file_checksums_unreferenced ON file_checksums (unreferenced_at) WHERE unreferenced_at IS NOT NULL",
            // Paths that may hold bytes without a blob row: noted before a rename, and before an unlink.
            """
            CREATE TABLE blob_intents (
                pool_id {uuid} NOT NULL, storage_path {text} NOT NULL, task_id {text}, created_at {timestamp} NOT NULL,
                PRIMARY KEY (pool_id, storage_path)){clustered}
            """,
            // `name_folded` is `FileName.folded(name)`, by which names are searched and sorted.
            """
            CREATE TABLE files (
                id {text} PRIMARY KEY, account_id {uuid} NOT NULL, name {text} NOT NULL, name_folded {folded} NOT NULL,
                size {bigint} NOT NULL, content_type {text} NOT NULL, hash {text} NOT NULL, pool_id {uuid} NOT NULL, bundle_id {uuid},
                charged_bytes {bigint} NOT NULL, user_meta {json} NOT NULL, task_id {text}, expired_at {timestamp},
                created_at {timestamp} NOT NULL, updated_at {timestamp} NOT NULL)
            """,
            "CREATE INDEX idx_files_account_created ON files (account_id, created_at)",
            "CREATE INDEX idx_files_account_hash ON files (account_id, hash)",
            "CREATE INDEX idx_files_bundle ON files (bundle_id) WHERE bundle_id IS NOT NULL",
            "CREATE INDEX idx_files_expired ON files (expired_at) WHERE expired_at IS NOT NULL",
        ]

        /// The engine's columns stand here from the start: `rank` orders the queue, `fencing_token` and `heartbeat`
        /// guard a lease, `requested` carries pause and cancel to a running worker.
        static let tasks = [
            """
            CREATE TABLE tasks (
                id {uuid} PRIMARY KEY, task_id {text} NOT NULL UNIQUE, name {text} NOT NULL, description {text},
                type {text} NOT NULL, status {text} NOT NULL, account_id {uuid} NOT NULL, progress {double} NOT NULL DEFAULT 0,
                parameters {json} NOT NULL, results {json} NOT NULL, error_code {text}, error_message {text},
                status_message {text}, last_activity {timestamp} NOT NULL, priority {int} NOT NULL DEFAULT 0,
                estimated_duration_seconds {bigint}, created_at {timestamp} NOT NULL, updated_at {timestamp} NOT NULL,
                started_at {timestamp}, completed_at {timestamp}, expired_at {timestamp},
                queue {text}, rank {bigint}, run_at {timestamp}, attempt {int} NOT NULL DEFAULT 0,
                max_attempts {int} NOT NULL DEFAULT 1, lease_owner {text}, fencing_token {bigint} NOT NULL DEFAULT 0,
                heartbeat {bigint} NOT NULL DEFAULT 0, requested {text}, checkpoint {json}, dead_at {timestamp},
                parent_task_id {text}, sent_progress {double} NOT NULL DEFAULT 0, sent_at {timestamp})
            """,
            // Engine tasks alone are in the queue; an upload is driven by its client and has no rank.
            "CREATE INDEX idx_tasks_queue ON tasks (rank) WHERE status = 'Pending' AND rank IS NOT NULL",
            "CREATE INDEX idx_tasks_leased ON tasks (lease_owner) WHERE lease_owner IS NOT NULL",
            "CREATE INDEX idx_tasks_account_type ON tasks (account_id, type, last_activity)",
            "CREATE INDEX idx_tasks_finished ON tasks (completed_at) WHERE completed_at IS NOT NULL",
            "CREATE INDEX idx_tasks_parent ON tasks (parent_task_id) WHERE parent_task_id IS NOT NULL",
        ]

        static let uploads = [
            """
            CREATE TABLE upload_tasks (
                id {uuid} PRIMARY KEY, task_id {text} NOT NULL UNIQUE, file_name {text} NOT NULL, file_name_folded {folded} NOT NULL,
                file_size {bigint} NOT NULL, content_type {text} NOT NULL, chunk_size {bigint} NOT NULL, chunks_count {int} NOT NULL,
                chunks_uploaded {int} NOT NULL DEFAULT 0, bytes_uploaded {bigint} NOT NULL DEFAULT 0, pool_id {uuid} NOT NULL,
                bundle_id {uuid}, encrypt_password {text}, expired_at {timestamp}, hash {text} NOT NULL, account_id {uuid} NOT NULL,
                status {int} NOT NULL DEFAULT 0, legacy_events {bool} NOT NULL DEFAULT {false}, reserved_bytes {bigint} NOT NULL,
                session_expires_at {timestamp} NOT NULL, session_serial {int} NOT NULL DEFAULT 0, file_id {text},
                staging_path {text} NOT NULL, boot_id {text} NOT NULL, hashed_bytes {bigint} NOT NULL DEFAULT 0,
                hash_state {bytes}, face {text} NOT NULL, last_activity {timestamp} NOT NULL,
                created_at {timestamp} NOT NULL, updated_at {timestamp} NOT NULL, deleted_at {timestamp})
            """,
            "CREATE INDEX idx_upload_tasks_account_id ON upload_tasks (account_id, last_activity)",
            "CREATE INDEX idx_upload_tasks_status ON upload_tasks (status, last_activity)",
            // A chunk's row is its acknowledgement. `session_id` is upload_tasks.id.
            """
            CREATE TABLE upload_chunks (
                session_id {uuid} NOT NULL, chunk_index {int} NOT NULL, chunk_size {bigint} NOT NULL, checksum {text} NOT NULL,
                storage_path {text}, uploaded_at {timestamp} NOT NULL, PRIMARY KEY (session_id, chunk_index)){clustered}
            """,
        ]

        static let records = [
            // The outbox: numbered per account by event_sequences, in the transaction of the change.
            """
            CREATE TABLE event_sequences (account_id {uuid} PRIMARY KEY, last_sequence {bigint} NOT NULL){clustered}
            """,
            """
            CREATE TABLE events (
                account_id {uuid} NOT NULL, sequence {bigint} NOT NULL, type {text} NOT NULL, task_id {text},
                data {json} NOT NULL, created_at {timestamp} NOT NULL, PRIMARY KEY (account_id, sequence)){clustered}
            """,
            "CREATE INDEX idx_events_created ON events (created_at)",
            """
            CREATE TABLE audit_log (
                id {text} PRIMARY KEY, at {timestamp} NOT NULL, account_id {uuid}, action {text} NOT NULL, object_type {text} NOT NULL,
                object_id {text}, address {text}, request_id {text}, details {json} NOT NULL)
            """,
            "CREATE INDEX idx_audit_log_at ON audit_log (at)",
            """
            CREATE TABLE idempotency_keys (
                account_id {uuid} NOT NULL, key {text} NOT NULL, operation {text} NOT NULL, fingerprint {text} NOT NULL,
                task_id {text} NOT NULL, response {json} NOT NULL, created_at {timestamp} NOT NULL,
                PRIMARY KEY (account_id, key)){clustered}
            """,
            "CREATE INDEX idx_idempotency_created ON idempotency_keys (created_at)",
            """
            CREATE TABLE upload_metrics (
                id {uuid} PRIMARY KEY, upload_id {uuid} NOT NULL, metric_type {text} NOT NULL, value {json} NOT NULL,
                recorded_at {timestamp} NOT NULL)
            """,
            "CREATE TABLE instance_settings (name {text} PRIMARY KEY, value {text} NOT NULL)",
        ]
    }
}
