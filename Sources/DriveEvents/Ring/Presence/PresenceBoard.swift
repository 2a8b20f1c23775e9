import DriveModel
import Foundation
import Logging
import Synchronization

/// Which accounts have a client of this server in the foreground. It tells the other servers by rows with an expiry, renewed
/// while it runs, so that the presence of a server that died ends by itself.
public final class PresenceBoard: Sendable {
    /// How long a row holds, and how often it is renewed.
    static let lifetime = Duration.seconds(60)
    static let renewal = Duration.seconds(20)
    /// Changes within this time share a transaction.
    static let gathering = Duration.milliseconds(100)

    private struct State {
        /// Clients in the foreground.
        var clients: [UUID: Int] = [:]
        /// Accounts with a row that has not expired.
        var told: Set<UUID> = []
    }

    private let directory: RingDirectory
    private let server: String
    private let logger: Logger
    private let state = Mutex(State())
    private let signal = WakeSignal()

    /// - Parameter server: names this process among all of them, anew at each start.
    public init(directory: RingDirectory, server: String, logger: Logger) {
        self.directory = directory
        self.server = server
        self.logger = logger
    }

    /// A client came to the foreground. Each is counted: its `leave` must follow.
    public func enter(_ account: UUID) { change(account, by: 1) }

    /// It went to the background, or away.
    public func leave(_ account: UUID) { change(account, by: -1) }

    private func change(_ account: UUID, by number: Int) {
        let isNews = state.withLock { state in
            let count = max(0, (state.clients[account] ?? 0) + number)
            state.clients[account] = count == 0 ? nil : count
            return (count > 0) != state.told.contains(account)
        }
        if isNews { signal.signal() }
    }

    /// Tells of changes, and renews what was told, until the Swift task is cancelled; then nobody watches here any more.
    public func run() async {
        await withTaskCancellationHandler {
            var renewed = ContinuousClock.now
            while !Task.isCancelled {
                await signal.wait(atMost: Self.renewal)
                guard !Task.isCancelled, (try? await Task.sleep(for: Self.gathering)) != nil else { break }
                let isDue = ContinuousClock.now - renewed >= Self.renewal / 2
                if isDue { renewed = .now }
                await tell(renewing: isDue)
            }
        } onCancel: {
            signal.signal()
        }
        do {
            try await directory.removePresence(on: server)
        } catch {
            logger.debug("presence is left to expire", metadata: ["error": "\(error)"])
        }
    }

    /// - Parameter renewing: also those that were told already.
    func tell(renewing: Bool) async {
        let (watching, gone) = state.withLock { state in
            let watching = Set(state.clients.keys)
            return (renewing ? watching : watching.subtracting(state.told), state.told.subtracting(watching))
        }
        do {
            try await directory.notePresence(
                on: server, watching: watching, gone: gone, until: directory.surroundings.now() + Self.lifetime)
            // Who came or went meanwhile differs from what was told, and is told next.
            state.withLock { $0.told = $0.told.union(watching).subtracting(gone) }
            if state.withLock({ Set($0.clients.keys) != $0.told }) { signal.signal() }
        } catch {
            logger.warning("presence cannot be told now", metadata: ["error": "\(error)"])
        }
    }
}
