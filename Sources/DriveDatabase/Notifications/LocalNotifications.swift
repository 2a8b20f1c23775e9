import Synchronization

/// Notifications within one process: an SQLite database is one process's.
final class LocalNotifications: NotificationSink {
    private struct Reader {
        var channels: Set<String>
        var continuation: AsyncStream<DatabaseNotification>.Continuation
        /// A notification found no room: the reader is owed a fresh look.
        var owesReconnected = false
    }

    private struct State {
        var readers: [Int: Reader] = [:]
        var nextId = 0
        var isClosed = false
    }

    private let state = Mutex(State())

    func post(_ channel: String, _ payload: String) {
        state.withLock { state in
            for (id, reader) in state.readers where reader.channels.contains(channel) {
                let element = reader.owesReconnected ? .reconnected : DatabaseNotification.notification(channel: channel, payload: payload)
                // Where this one finds no room, the next that does says so.
                if case .dropped = reader.continuation.yield(element) {
                    state.readers[id]?.owesReconnected = true
                } else {
                    state.readers[id]?.owesReconnected = false
                }
            }
        }
    }

    func listen(to channels: [String], bufferSize: Int = 1024) -> any DatabaseListener {
        let (stream, continuation) = AsyncStream<DatabaseNotification>.makeStream(bufferingPolicy: .bufferingOldest(bufferSize))
        let id = state.withLock { state -> Int? in
            guard !state.isClosed else { return nil }
            state.nextId += 1
            state.readers[state.nextId] = Reader(channels: Set(channels), continuation: continuation)
            return state.nextId
        }
        if id == nil { continuation.finish() } else { continuation.yield(.reconnected) }
        return Listener(elements: stream) { [weak self] in
            if let id { self?.remove(id) }
        }
    }

    /// Ends every reader's stream.
    func close() {
        let readers = state.withLock { state in
            state.isClosed = true
            defer { state.readers = [:] }
            return state.readers
        }
        for reader in readers.values { reader.continuation.finish() }
    }

    private func remove(_ id: Int) {
        state.withLock { $0.readers.removeValue(forKey: id) }?.continuation.finish()
    }

    private struct Listener: DatabaseListener {
        let elements: AsyncStream<DatabaseNotification>
        let end: @Sendable () -> Void

        func close() async { end() }
    }
}
