import ServiceLifecycle
import Synchronization

/// Runs what is asked to stop and may not heed it: a peer holds a connection, or a name is being looked up for ever.
enum StoppedService {
    /// How long what was asked to stop may take.
    static let farewell = Duration.seconds(5)

    private final class Flag: Sendable {
        private let value = Mutex(false)
        var isUp: Bool { value.withLock { $0 } }
        func raise() { value.withLock { $0 = true } }
    }

    /// Runs until the process is to stop; then asks, and cancels what has not ended in time.
    static func run(
        farewell: Duration = Self.farewell, _ body: @escaping @Sendable () async throws -> Void, stop: @escaping @Sendable () -> Void
    ) async throws {
        let stopping = Flag()
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await body() }
                group.addTask {
                    let (never, end) = AsyncStream.makeStream(of: Void.self)
                    await withGracefulShutdownHandler {
                        for await _ in never {}
                    } onGracefulShutdown: {
                        stopping.raise()
                        stop()
                        end.finish()
                    }
                    // Also where the Swift task is cancelled, and at once then.
                    try? await Task.sleep(for: farewell)
                }
                try await group.next()
                group.cancelAll()
                try await group.waitForAll()
            }
        } catch {
            // Its end was asked for, however it comes.
            guard stopping.isUp else { throw error }
        }
    }
}
