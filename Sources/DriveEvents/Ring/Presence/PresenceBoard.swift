import DriveModel
import Foundation
import Logging
import Synchronization

/// Where a client of an account can be. One client may be at several places.
public enum PresencePlace: Hashable, Sendable {
    /// It has a WebSocket open.
    case connected
    /// Somebody looks at the screen.
    case foreground
    /// It is this device's, whose id is in lower case.
    case device(String)

    /// As it stands in the rows.
    var name: String {
        switch self {
        case .connected: "connected"
        case .foreground: "foreground"
        case .device(let id): "device:\(id)"
        }
    }
}

/// Which accounts have clients of this server where. It tells the other servers by rows with an expiry, renewed while it runs, so
/// that the presence of a server that died ends by itself.
public final class PresenceBoard: Sendable {
    /// How long a row holds, and how often it is renewed.
    static let lifetime = Duration.seconds(60)
    static let renewal = Duration.seconds(20)
    /// Changes within this time share a transaction.
    static let gathering = Duration.milliseconds(100)
    /// After the database failed.
    static let patience = Duration.seconds(1)

    /// One account at one place.
    struct Presence: Hashable, Sendable {
        var account: UUID
        var place: PresencePlace
    }

    private struct State {
        var troubles = SparseLog()
        /// How many clients are there.
        var clients: [Presence: Int] = [:]
        /// Those with a row that has not expired.
        var told: Set<Presence> = []
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

    /// A client came. Each is counted: its `leave` must follow.
    public func enter(_ account: UUID, _ place: PresencePlace = .foreground) { change(Presence(account: account, place: place), by: 1) }

    /// It is there no more.
    public func leave(_ account: UUID, _ place: PresencePlace = .foreground) { change(Presence(account: account, place: place), by: -1) }

    private func change(_ presence: Presence, by number: Int) {
        let isNews = state.withLock { state in
            let count = max(0, (state.clients[presence] ?? 0) + number)
            state.clients[presence] = count == 0 ? nil : count
            return (count > 0) != state.told.contains(presence)
        }
        if isNews { signal.signal() }
    }

    /// Those of the accounts that have a client at the place, on any server.
    public func present(_ accounts: Set<UUID>, at place: PresencePlace) async throws -> Set<UUID> {
        let here = state.withLock { state in accounts.filter { state.clients[Presence(account: $0, place: place)] != nil } }
        // Of this server the rows are a little behind.
        return here.union(try await directory.present(accounts.subtracting(here), at: place, besides: server))
    }

    /// Tells of changes, and renews what was told, until the Swift task is cancelled; then nobody is here any more.
    public func run() async {
        await withTaskCancellationHandler {
            var renewed = ContinuousClock.now
            while !Task.isCancelled {
                await signal.wait(atMost: Self.renewal)
                guard !Task.isCancelled, (try? await Task.sleep(for: Self.gathering)) != nil else { break }
                let isDue = ContinuousClock.now - renewed >= Self.renewal / 2
                if await tell(renewing: isDue) {
                    if isDue { renewed = .now }
                } else {
                    guard (try? await Task.sleep(for: Self.patience)) != nil else { break }
                    signal.signal()
                }
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

    /// - Parameter renewing: also what was told already.
    /// - Returns: whether it could be told.
    @discardableResult
    func tell(renewing: Bool) async -> Bool {
        let (here, gone) = state.withLock { state in
            let here = Set(state.clients.keys)
            return (renewing ? here : here.subtracting(state.told), state.told.subtracting(here))
        }
        do {
            try await directory.notePresence(on: server, here: here, gone: gone, until: directory.surroundings.now() + Self.lifetime)
        } catch {
            if let unsaid = state.withLock({ $0.troubles.say(at: .now) }) {
                logger.warning("presence cannot be told now", metadata: ["error": "\(error)", "unsaid": "\(unsaid)"])
            }
            return false
        }
        // Who came or went meanwhile differs from what was told, and is told next.
        let isMore = state.withLock { state in
            state.told = state.told.union(here).subtracting(gone)
            return Set(state.clients.keys) != state.told
        }
        if isMore { signal.signal() }
        return true
    }
}
