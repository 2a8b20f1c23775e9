/// The open connections of the RingService's port and the calls under way: a value that is told what happened and when.
struct ConnectionBook<Instant: InstantProtocol & Sendable>: Sendable where Instant.Duration == Duration {
    private struct Entry {
        var peer: String
        var network: String
        var hasSignedIn = false
        var calls = 0
        /// The end of its last call; before the first one, the moment when it was opened.
        var quietSince: Instant
    }

    /// How much longer than its idle time a connection is let be: its end is asked for first.
    static var grace: Duration { .seconds(60) }

    private let limits: RingLimits
    private var entries: [Int: Entry] = [:]
    private var numbers: [String: Int] = [:]
    private var perNetwork: [String: Int] = [:]
    private var last = 0
    private(set) var calls = 0

    /// How many there are, for tests.
    var count: Int { entries.count }

    init(limits: RingLimits) {
        self.limits = limits
    }

    /// - Parameters:
    ///   - peer: what calls over the connection name it by.
    ///   - network: what connections are counted by.
    /// - Returns: the connection's number; nil where there are enough.
    mutating func admit(_ peer: String, of network: String, at now: Instant) -> Int? {
        let sameNetwork = perNetwork[network, default: 0]
        guard entries.count < limits.connections, sameNetwork < limits.connectionsPerAddress else { return nil }
        last += 1
        entries[last] = Entry(peer: peer, network: network, quietSince: now)
        numbers[peer] = last
        perNetwork[network] = sameNetwork + 1
        return last
    }

    mutating func remove(_ number: Int) {
        guard let entry = entries.removeValue(forKey: number) else { return }
        // A newer connection may have the port of one that has just ended.
        if numbers[entry.peer] == number { numbers[entry.peer] = nil }
        let rest = perNetwork[entry.network, default: 1] - 1
        perNetwork[entry.network] = rest > 0 ? rest : nil
    }

    /// A call that has shown the token.
    enum Beginning: Hashable, Sendable {
        /// Over the connection of this number; nil: that has ended.
        case begun(Int?)
        /// There are enough.
        case refused
    }

    mutating func begin(over peer: String) -> Beginning {
        let number = numbers[peer]
        if let number { entries[number]?.hasSignedIn = true }
        guard calls < limits.calls else { return .refused }
        calls += 1
        if let number { entries[number]?.calls += 1 }
        return .begun(number)
    }

    mutating func end(_ number: Int?, at now: Instant) {
        calls -= 1
        guard let number else { return }
        entries[number]?.calls -= 1
        entries[number]?.quietSince = now
    }

    /// The connection, where nobody has shown the token over it.
    func stranger(_ peer: String) -> Int? {
        guard let number = numbers[peer], entries[number]?.hasSignedIn == false else { return nil }
        return number
    }

    /// The connections that are to be closed: who has not signed in, and who has gone quiet and does not end.
    func overdue(at now: Instant) -> [Int] {
        entries.filter { _, entry in
            let patience = entry.hasSignedIn ? limits.idleTime + Self.grace : limits.signInTime
            return entry.calls == 0 && entry.quietSince.duration(to: now) >= patience
        }.keys.sorted()
    }
}
