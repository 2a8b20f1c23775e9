/// What a listener hears.
///
/// A notification only wakes its reader; what happened stands in a table. So whatever may have been missed is told by one
/// `.reconnected`, upon which the reader reads everything anew.
public enum DatabaseNotification: Sendable, Hashable {
    case notification(channel: String, payload: String)
    /// Listening began, began again after a break, or the reader was so slow that notifications were dropped.
    case reconnected
}

/// Hears what committed transactions told by `SQLSession.notify`, on this and every other instance of the database.
public protocol DatabaseListener: Sendable {
    /// For one reader. Ends after `close`.
    var elements: AsyncStream<DatabaseNotification> { get }
    func close() async
}

/// Takes the notifications of committed transactions and brings them to the listeners, some time soon.
protocol NotificationSink: Sendable {
    func post(_ channel: String, _ payload: String)
}
