import DriveDatabase
import DriveEvents
import DriveModel
import DriveRing
import Foundation
import Logging
import Synchronization

/// What other programs do through the RingService that lasts, for the audit log. Packets and notifications are in the events.
///
/// No account does it, so the entries have none; where others have a request's id, they have `ring`.
struct RingAudit: Sendable {
    static let requestId = "ring"
    /// Refused tokens are on record so often at most.
    static let refusalInterval = Duration.seconds(600)
    /// So many addresses have a count of their own in such an entry.
    static let refusedAddresses = 8

    let database: any Database
    let surroundings: Surroundings
    let logger: Logger
    private let refusals = RefusalCount()

    init(database: any Database, surroundings: Surroundings, logger: Logger) {
        self.database = database
        self.surroundings = surroundings
        self.logger = logger
    }

    /// Writes an entry in the transaction of the change that it tells of.
    func append(
        _ action: String, on type: String, id: String?, by caller: RingCaller, _ details: [String: JSONValue], in sql: any SQLSession
    ) throws {
        try AuditTrail.append(
            action, on: type, id: id, account: nil, address: caller.address, requestId: Self.requestId, details: details,
            surroundings: surroundings, logger: AuditTrail.logger, in: sql)
    }

    /// Removes a device, whoever's it is, with an entry. One that is not there is none.
    func removeDevice(_ device: UUID, by caller: RingCaller) async throws {
        try await database.write { sql in
            guard let account = try RingDirectory.removeDevice(device, in: sql) else { return }
            try append(
                "device.remove", on: "device", id: device.lowercaseString, by: caller, ["account": .string(account.lowercaseString)],
                in: sql)
        }
    }

    /// Notes that a call came without the token. There may be any number of them, so one entry tells of all since the one before it.
    func refusedToken(of caller: RingCaller, at now: ContinuousClock.Instant = .now) async {
        if let refused = refusals.note(caller, at: now) { await write(refused) }
    }

    /// Writes what has no entry yet, where its time has come.
    func writeRefusals(at now: ContinuousClock.Instant, isLast: Bool = false) async {
        if let refused = refusals.due(at: now, isLast: isLast) { await write(refused) }
    }

    /// Has an entry of each refused call at last, until the Swift task is cancelled.
    func run() async {
        while (try? await Task.sleep(for: Self.refusalInterval / 10)) != nil { await writeRefusals(at: .now) }
        // Of its own: this one is cancelled.
        await Task { await writeRefusals(at: .now, isLast: true) }.value
    }

    private func write(_ refused: RefusalCount.Refused) async {
        do {
            try await database.write { sql in
                try append("token.refuse", on: "ringService", id: nil, by: refused.caller, refused.details, in: sql)
            }
        } catch {
            logger.warning("refused calls cannot be noted in the audit log now", metadata: ["error": "\(error)"])
            refusals.giveBack(refused)
        }
    }
}

/// The calls that were refused since somebody was told.
private final class RefusalCount: Sendable {
    struct Refused: Sendable {
        /// By the address that they came from, of as many as are told apart.
        private var addresses: [String: Int64] = [:]
        /// From any other, or from nobody knows where.
        private var others: Int64 = 0

        var calls: Int64 { addresses.values.reduce(others, +) }

        /// Who it was, where it was one.
        var caller: RingCaller { RingCaller(address: others == 0 && addresses.count == 1 ? addresses.keys.first : nil) }

        var details: [String: JSONValue] {
            var details: [String: JSONValue] = ["calls": .integer(calls)]
            if caller.address == nil, !addresses.isEmpty {
                details["addresses"] = .object(addresses.mapValues { .integer($0) })
                if others > 0 { details["others"] = .integer(others) }
            }
            return details
        }

        mutating func add(_ calls: Int64, from address: String?) {
            guard let address, addresses[address] != nil || addresses.count < RingAudit.refusedAddresses else {
                others += calls
                return
            }
            addresses[address, default: 0] += calls
        }

        mutating func add(_ later: Refused) {
            for (address, calls) in later.addresses.sorted(by: { $0.value > $1.value }) { add(calls, from: address) }
            others += later.others
        }
    }

    private let state = Mutex<(open: Refused, last: ContinuousClock.Instant?)>((Refused(), nil))

    /// - Returns: what is to be told now; nil where it is too early.
    func note(_ caller: RingCaller, at now: ContinuousClock.Instant) -> Refused? {
        state.withLock { $0.open.add(1, from: caller.address) }
        return due(at: now, isLast: false)
    }

    func due(at now: ContinuousClock.Instant, isLast: Bool) -> Refused? {
        state.withLock { state in
            guard state.open.calls > 0 else { return nil }
            if !isLast, let last = state.last, last.duration(to: now) < RingAudit.refusalInterval { return nil }
            defer { state = (Refused(), now) }
            return state.open
        }
    }

    /// They could not be told: later, with those that came meanwhile.
    func giveBack(_ refused: Refused) {
        state.withLock { state in
            var all = refused
            all.add(state.open)
            state.open = all
        }
    }
}
