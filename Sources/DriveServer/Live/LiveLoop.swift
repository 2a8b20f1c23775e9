import DriveEvents
import Foundation
import NIOCore
import Synchronization

/// What the clients of one event loop share: compression, and the frames of the latest events, each of which many get.
/// Confined to the event loop.
final class LiveLoop {
    private struct Entry {
        var account: UUID
        var sequence: Int64
        var message: WebSocketMessage
    }

    let compression = WebSocketCompression()
    private var latest = [Entry?](repeating: nil, count: 64)

    /// An event's frame: encoded once for the clients of the account that get it at about the same time.
    func message(for event: LiveEvent, of account: UUID) -> WebSocketMessage {
        let place = Int(UInt64(bitPattern: event.sequence) % UInt64(latest.count))
        if let entry = latest[place], entry.sequence == event.sequence, entry.account == account { return entry.message }
        let message = WebSocketMessage(event.packet)
        latest[place] = Entry(account: account, sequence: event.sequence, message: message)
        return message
    }
}

/// The `LiveLoop` of each event loop.
final class LiveLoops: Sendable {
    private let loops = Mutex<[ObjectIdentifier: NIOLoopBound<LiveLoop>]>([:])

    /// Called on the event loop.
    func loop(of eventLoop: any EventLoop) -> LiveLoop {
        loops.withLock { loops in
            if let loop = loops[ObjectIdentifier(eventLoop)] { return loop }
            let loop = NIOLoopBound(LiveLoop(), eventLoop: eventLoop)
            loops[ObjectIdentifier(eventLoop)] = loop
            return loop
        }.value
    }
}
