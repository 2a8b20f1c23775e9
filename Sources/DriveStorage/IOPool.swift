import DriveModel
import NIOPosix

/// The threads on which storage blocks. Never an event loop, never the cooperative pool.
public final class IOPool: Sendable {
    private let threads: NIOThreadPool

    public init(threads count: Int) {
        threads = NIOThreadPool(numberOfThreads: count)
        threads.start()
    }

    /// Runs `work` on a thread of the pool and returns what it returns or throws.
    public func run<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result {
        // Not `runIfActive`: work that was begun is finished also where the awaiting task is cancelled, as clean-up must be.
        try await withCheckedThrowingContinuation { continuation in
            threads.submit { state in
                switch state {
                case .active: continuation.resume(with: Swift.Result { try work() })
                case .cancelled: continuation.resume(throwing: StorageError("pool", 125))
                }
            }
        }
    }

    /// Runs `work` some time soon; nothing waits for it.
    func submit(_ work: @escaping @Sendable () -> Void) {
        threads.submit { _ in work() }
    }

    /// Ends the threads after the work that was accepted.
    public func close() async {
        try? await threads.shutdownGracefully()
    }
}
