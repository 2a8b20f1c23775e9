import DriveModel

/// Which events are forwarded to an external RingService.
public enum ForwardRule {
    /// Older ones are passed over: a page that is opened later asks Drive itself.
    public static let maximumAge = Duration.seconds(3600)

    /// Of the rows of `events`: Drive's own. What another program pushed through Drive's RingService went to that program's
    /// people already, and would come back.
    static func isOwn(_ events: String) -> String { "\(events).relay IS NULL AND \(events).type <> 'notification.received'" }

    /// What happened before this is passed over.
    /// - Parameter since: when events were forwarded for the first time, so that beginning to do so floods nobody.
    static func oldest(since: Timestamp, now: Timestamp) -> Timestamp { max(since, now - maximumAge) }
}
