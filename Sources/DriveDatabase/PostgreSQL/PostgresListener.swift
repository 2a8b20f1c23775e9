import Foundation
import Logging

/// Hears `NOTIFY` on a connection and a thread of its own, and connects again for as long as it takes.
public final class PostgresListener: DatabaseListener {
    public typealias Element = DatabaseNotification

    /// For one reader. Ends after `close`.
    public let elements: AsyncStream<Element>
    private let wake: PostgresWakePipe
    private let thread: PostgresThreadGroup

    /// - Parameters:
    ///   - channels: names as `NOTIFY` has them; quoted here.
    ///   - bufferSize: elements kept for a slow reader.
    /// - Throws: `DatabaseError`: `statement` for a string that cannot be read, `unavailable` without file descriptors.
    public init(
        connectionString: String, channels: [String], logger: Logger, bufferSize: Int = 1024,
        configuration: PostgresConfiguration = .init()
    ) throws(DatabaseError) {
        let target = try PostgresTarget(connectionString: connectionString)
        let wake = try PostgresWakePipe()
        let group = PostgresThreadGroup(count: 1)
        let (stream, continuation) = AsyncStream<Element>.makeStream(bufferingPolicy: .bufferingOldest(bufferSize))
        self.wake = wake
        thread = group
        elements = stream
        let thread = Thread {
            var loop = PostgresListenerLoop(
                target: target, configuration: configuration, channels: channels, logger: logger, wake: wake,
                output: PostgresListenerOutput(continuation))
            loop.run()
            continuation.finish()
            group.threadEnds()
        }
        thread.name = "drive-pg-listen"
        thread.start()
    }

    deinit { wake.stop() }

    /// Returns when the thread has ended.
    public func close() async {
        wake.stop()
        await thread.waitForAll()
    }
}

/// What the listener's thread does. Made and used on that thread alone.
private struct PostgresListenerLoop {
    let target: PostgresTarget
    let configuration: PostgresConfiguration
    let channels: [String]
    let logger: Logger
    let wake: PostgresWakePipe
    var output: PostgresListenerOutput

    mutating func run() {
        var delay = Duration.milliseconds(100)
        while !wake.isStopped {
            do {
                let connection = try PostgresConnection(target, configuration)
                for channel in channels { try connection.command("LISTEN \(Self.quoted(channel))") }
                delay = .milliseconds(100)
                output.oweReconnected()
                try listen(on: connection)
            } catch {
                logger.warning("listening to PostgreSQL broke off", metadata: ["reason": "\(error.message)"])
                _ = wake.waitForInput(on: nil, atMost: delay * configuration.random(0.5...1))
                delay = min(delay * 2, .seconds(5))
            }
        }
    }

    private mutating func listen(on connection: PostgresConnection) throws(PostgresFailure) {
        while !wake.isStopped {
            for notification in try connection.takeNotifications() {
                output.deliver(channel: notification.channel, payload: notification.payload)
            }
            output.settle()
            // Without end, but for a reader that must be told once it has room again.
            _ = wake.waitForInput(on: connection.socket, atMost: output.owesReconnected ? .milliseconds(200) : nil)
        }
    }

    private static func quoted(_ name: String) -> String { "\"\(name.replacing("\"", with: "\"\""))\"" }
}

/// What one reader gets: each notification, or `.reconnected` in the place of those that found no room.
struct PostgresListenerOutput {
    private let continuation: AsyncStream<PostgresListener.Element>.Continuation
    /// The reader has not yet been told that it must read everything anew.
    private(set) var owesReconnected = false

    /// The stream's policy must be `bufferingOldest`.
    init(_ continuation: AsyncStream<PostgresListener.Element>.Continuation) {
        self.continuation = continuation
    }

    mutating func oweReconnected() { owesReconnected = true }

    /// While the reader is owed a fresh look, a single notification adds nothing.
    mutating func deliver(channel: String, payload: String) {
        guard !owesReconnected else { return }
        if case .dropped = continuation.yield(.notification(channel: channel, payload: payload)) { owesReconnected = true }
    }

    /// Pays the debt where the reader has room now.
    mutating func settle() {
        guard owesReconnected else { return }
        if case .dropped = continuation.yield(.reconnected) { return }
        owesReconnected = false
    }
}
