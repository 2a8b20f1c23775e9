import NIOCore
import Synchronization

/// The open connections of the process: how many, from where, and how to end them all.
package final class ConnectionRegistry: Sendable {
    /// One connection. Ends the task that serves it.
    package final class Entry: Sendable {
        package let channel: any Channel
        let address: String?
        private let state = Mutex<(task: Task<Void, Never>?, isCancelled: Bool)>((nil, false))

        init(channel: any Channel) {
            self.channel = channel
            self.address = channel.remoteAddress?.ipAddress
        }

        func bind(_ task: Task<Void, Never>) {
            let isCancelled = state.withLock { state in
                state.task = task
                return state.isCancelled
            }
            if isCancelled { task.cancel() }
        }

        /// Cancels the handler. The channel is closed by its guard.
        func cancel() {
            let task = state.withLock { state in
                state.isCancelled = true
                return state.task
            }
            task?.cancel()
        }
    }

    private struct State {
        var entries: [ObjectIdentifier: Entry] = [:]
        var perAddress: [String: Int] = [:]
    }

    private let state = Mutex(State())
    private let open = Atomic<Int>(0)
    private let bodies = Atomic<Int>(0)

    package init() {}

    /// Connections open now.
    package var openCount: Int { open.load(ordering: .relaxed) }
    /// Request bodies arriving now.
    package var bodyCount: Int { bodies.load(ordering: .relaxed) }

    /// Closes every connection and cancels its handler, whatever it is doing. Each connection does the same for itself
    /// at `gracefulStopDeadline`; this is for a stop that cannot wait.
    package func closeAll() {
        for entry in state.withLock({ Array($0.entries.values) }) {
            entry.cancel()
            entry.channel.close(promise: nil)
        }
    }

    /// - Returns: nil where a limit of the policy refuses the connection.
    func admit(_ channel: any Channel, policy: ConnectionPolicy) -> Entry? {
        let entry = Entry(channel: channel)
        let isAdmitted = state.withLock { state in
            if state.entries.count >= policy.maxConnections { return false }
            if let address = entry.address {
                let count = state.perAddress[address, default: 0]
                if let limit = policy.maxConnectionsPerAddress, count >= limit { return false }
                state.perAddress[address] = count + 1
            }
            state.entries[ObjectIdentifier(entry)] = entry
            return true
        }
        guard isAdmitted else { return nil }
        open.add(1, ordering: .relaxed)
        return entry
    }

    func remove(_ entry: Entry) {
        let wasOpen = state.withLock { state in
            guard state.entries.removeValue(forKey: ObjectIdentifier(entry)) != nil else { return false }
            if let address = entry.address, let count = state.perAddress[address] {
                state.perAddress[address] = count > 1 ? count - 1 : nil
            }
            return true
        }
        if wasOpen { open.subtract(1, ordering: .relaxed) }
    }

    func beginBody() { bodies.add(1, ordering: .relaxed) }
    func endBody() { bodies.subtract(1, ordering: .relaxed) }

    /// The largest single read for a body that begins now.
    ///
    /// A connection can hold four buffers (the channel's own, two waiting, one being written), so four times the size
    /// times the arriving bodies stays within `receiveMemory`; and as a channel keeps its own buffer while idle, so does
    /// the size times the open connections. One upload alone gets the whole `receiveBufferSize`, a hundred get 32 KiB each.
    package func receiveBufferSize(policy: ConnectionPolicy) -> Int {
        Self.receiveBufferSize(bodies: bodyCount, open: openCount, policy: policy)
    }

    static func receiveBufferSize(bodies: Int, open: Int, policy: ConnectionPolicy) -> Int {
        let share = policy.receiveMemory / max(4 * bodies, open, 1)
        let size = min(policy.receiveBufferSize, max(share, 16 << 10))
        // The adaptive allocator rounds up to a power of two: round down here.
        return 1 << (Int.bitWidth - 1 - size.leadingZeroBitCount)
    }
}
