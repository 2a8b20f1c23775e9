extension Schema {
    /// Version 6 too: which server forwards events to an external RingService, and how far it came.
    enum RingForwarding {
        static let statements = [
            // What one server does for all. `heartbeat` counts the holder's signs of life; without a holder anybody may take it.
            // `since` is when any server did it first.
            """
            CREATE TABLE ring_leaders (
                name {text} PRIMARY KEY, holder {text}, heartbeat {bigint} NOT NULL, since {timestamp} NOT NULL)
            """,
            // All events of the account up to this number were forwarded or passed over.
            "CREATE TABLE ring_forwarding (account_id {uuid} PRIMARY KEY, sequence {bigint} NOT NULL){clustered}",
        ]
    }
}
