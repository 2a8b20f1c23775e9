extension Schema {
    /// Version 3: uploads whose bytes come as one stream, and their concatenation.
    enum Streams {
        static let statements = [
            // Whether nobody has said yet how many bytes there will be; `file_size` is what was reserved so far.
            "ALTER TABLE upload_tasks ADD COLUMN length_deferred {bool} NOT NULL DEFAULT {false}",
            // Text of the client's own, given back as it came.
            "ALTER TABLE upload_tasks ADD COLUMN metadata {text}",
            // `partial`, or the text of a final upload.
            "ALTER TABLE upload_tasks ADD COLUMN concatenation {text}",
            // While bytes come that count only if a digest matches: where they begin.
            "ALTER TABLE upload_tasks ADD COLUMN pending_from {bigint}",
            // Whether the client's last body came whole and was to end the upload: all that is missing is its publication.
            "ALTER TABLE upload_tasks ADD COLUMN is_ended {bool} NOT NULL DEFAULT {false}",
            // The parts of a final upload, in their order; one part may stand in several places.
            """
            CREATE TABLE upload_parts (
                final_task_id {text} NOT NULL, position {int} NOT NULL, part_task_id {text} NOT NULL,
                PRIMARY KEY (final_task_id, position)){clustered}
            """,
            "CREATE INDEX idx_upload_parts_part ON upload_parts (part_task_id)",
        ]
    }
}
