import DriveDatabase
import DriveEvents
import DriveModel
import DriveRing
import Foundation
import Logging

/// Does what other programs ask over the RingService: packets and notifications become events of their accounts, and go the way
/// that those go.
struct RingDesk: RingOffice {
    /// What one call may bring.
    enum Limits {
        static let recipients = 1000
        /// Bytes of an id.
        static let identifier = 256
        /// Bytes of a packet's data, as it is stored too.
        static let packet = RingLimits.packetData
        /// Bytes of a packet's data times its recipients.
        static let copies = 16 << 20
        /// Bytes of an error's text.
        static let errorMessage = 1024
        /// Bytes of a title, and of a subtitle.
        static let title = 256
        static let body = 4096
        static let topic = 64
        static let meta = RingLimits.notificationMeta
        static let actionURI = 2048
    }

    let directory: RingDirectory
    let presence: PresenceBoard
    let people: RingPeople
    let mail: MailOffice?
    let audit: RingAudit
    let logger: Logger

    /// How long a gateway's word holds that somebody looks at the screen.
    static let presenceLifetime = Duration.seconds(60)
    /// Types by which the stream itself speaks, in both directions.
    static let reservedTypes: Set<String> = [
        "auth", "closed", "error", "gap", notificationType, "open", "ping", "pong", "presence", "ready", "snapshot", "subscribe",
        "subscribed",
    ]
    /// The event that a notification of another program is.
    static let notificationType = "notification.received"

    // MARK: Packets

    func push(_ packet: RingPacket, to recipients: RingRecipients) async throws(DriveError) {
        try Self.check(packet)
        try await mapped {
            let addressees = try await addressees(recipients)
            guard packet.data.utf8.count * addressees.count <= Limits.copies else {
                throw Self.refusal(
                    "packet.data",
                    "packet.data times its \(addressees.count) recipients is more than \(Limits.copies) bytes: make several calls.")
            }
            let events = try addressees.map { account, device in
                OutboxEvent(
                    account: account, type: packet.type, taskId: nil, data: packet.data,
                    relay: try DriveJSON.text(EventRelay(deviceId: device, errorMessage: packet.errorMessage)))
            }
            try await directory.append(events)
        }
    }

    func notify(_ notification: PushNotification, users: RingRecipients) async throws(DriveError) {
        try Self.check(notification)
        try await mapped {
            let data = try Self.text(of: notification)
            let events = try await addressees(users).map {
                OutboxEvent(account: $0.account, type: Self.notificationType, taskId: nil, data: data)
            }
            try await directory.append(events)
        }
    }

    private static func text(of notification: PushNotification) throws -> String {
        var data: [String: JSONValue] = [
            "topic": .string(notification.topic), "title": .string(notification.title), "subtitle": .string(notification.subtitle),
            "body": .string(notification.body), "isSilent": .bool(notification.isSilent), "isSavable": .bool(notification.isSavable),
        ]
        if let meta = notification.meta { data["meta"] = meta }
        if let address = notification.actionURI { data["actionUri"] = .string(address) }
        return try DriveJSON.text(data)
    }

    // MARK: Devices and connections

    func unsubscribe(device: String, for caller: RingCaller) async throws(DriveError) {
        let id = try Self.device(device)
        try await mapped { try await audit.removeDevice(id, by: caller) }
    }

    func isConnected(device: String) async throws(DriveError) -> Bool {
        let id = try Self.device(device)
        return try await mapped {
            guard let account = try await directory.accounts(ofDevices: [id])[id] else { throw Self.unknown("device") }
            return try await !presence.present([account], at: .device(id.lowercaseString)).isEmpty
        }
    }

    func areConnected(users: [String]) async throws(DriveError) -> [String: Bool] {
        try Self.check(identifiers: users, of: "users_id")
        return try await mapped {
            let accounts = try await people.accounts(named: Set(users))
            let connected = try await presence.present(Set(accounts.values), at: .connected)
            return Dictionary(users.map { ($0, accounts[$0].map(connected.contains) ?? false) }, uniquingKeysWith: { first, _ in first })
        }
    }

    func received(_ packet: RingPacket, account: String, device: String) async throws(DriveError) {
        try Self.check(identifiers: [account], of: "account")
        guard device.utf8.count <= Limits.identifier, !device.utf8.contains(0) else {
            throw Self.refusal("device_id", "device_id has at most 256 bytes, and no U+0000.")
        }
        switch packet.type {
        case "ping": return
        case "presence":
            guard case .bool(let isForeground)? = (try? DriveJSON.value([String: JSONValue].self, from: packet.data))?["foreground"] else {
                throw Self.refusal("packet.data", "packet.data of a presence needs foreground, true or false.")
            }
            try await mapped {
                guard let id = try await people.accounts(named: [account])[account] else { throw Self.unknown("account") }
                if isForeground {
                    try await directory.note(id, at: .foreground, client: device, for: Self.presenceLifetime)
                } else {
                    try await directory.noteGone(id, from: .foreground, client: device)
                }
            }
        default: throw Self.refusal("packet.type", "packet.type must be one of ping, presence.")
        }
    }

    // MARK: Mail and callers

    func refusedToken(of caller: RingCaller) async { await audit.refusedToken(of: caller) }

    func send(_ message: RingMail, for caller: RingCaller) async throws(DriveError) {
        guard let mail else {
            throw DriveError(.mailUnavailable, "This server sends no mail: ring.sendmail is not set.", details: ["rule": "ring.sendmail"])
        }
        try await mapped { try await mail.send(message, for: caller, audit: audit) }
    }

    // MARK: Parts

    /// The accounts, each with the device that alone is meant.
    private func addressees(_ recipients: RingRecipients) async throws -> [(account: UUID, device: String?)] {
        switch recipients {
        case .user(let user):
            try Self.check(identifiers: [user], of: "user_id")
            guard let account = try await people.accounts(named: [user])[user] else { throw Self.unknown("user") }
            return [(account, nil)]
        case .users(let users):
            try Self.check(identifiers: users, of: "user_ids")
            return Set(try await people.accounts(named: Set(users)).values).map { ($0, nil) }
        case .device(let device):
            let id = try Self.device(device)
            guard let account = try await directory.accounts(ofDevices: [id])[id] else { throw Self.unknown("device") }
            return [(account, id.lowercaseString)]
        case .devices(let devices):
            try Self.check(identifiers: devices, of: "device_ids")
            let ids = try devices.map { text throws(DriveError) in try Self.device(text, of: "device_ids") }
            return try await directory.accounts(ofDevices: Array(Set(ids))).map { ($0.value, $0.key.lowercaseString) }
        }
    }

    /// Refusals as they are. Any other error becomes one, with a line in the log where a request would have one.
    ///
    /// - Parameter call: for the log.
    private func mapped<Value>(_ call: String = #function, _ work: () async throws -> Value) async throws(DriveError) -> Value {
        do {
            return try await work()
        } catch {
            var refusal = ErrorMapping.driveError(error)
            if RequestGate.isReported(refusal) {
                logger.error("a call of the RingService failed", metadata: ["call": "\(call)", "error": "\(error)"])
            }
            // Elsewhere it speaks of the request's id; a call has none.
            if refusal.code == .internalError { refusal.message = "The call failed inside; the log has the reason." }
            throw refusal
        }
    }

    private static func unknown(_ what: String) -> DriveError {
        DriveError(.notFound, "There is no such \(what).", details: ["rule": .string(what)])
    }
}

// MARK: Rules

extension RingDesk {
    static func refusal(_ rule: String, _ message: String) -> DriveError {
        DriveError(.invalidRequest, message, details: ["rule": .string(rule)])
    }

    /// - Parameter field: as the message has it.
    static func device(_ text: String, of field: String = "device_id") throws(DriveError) -> UUID {
        guard let id = UUID(uuidString: text) else { throw refusal(field, "\(field) holds the id of a registered device, a UUID.") }
        return id
    }

    /// - Parameter field: as the message has it.
    static func check(identifiers: [String], of field: String) throws(DriveError) {
        guard !identifiers.isEmpty, identifiers.count <= Limits.recipients else {
            throw refusal(field, "\(field) needs 1 to \(Limits.recipients) ids.")
        }
        guard identifiers.allSatisfy({ (1...Limits.identifier).contains($0.utf8.count) && !$0.utf8.contains(0) }) else {
            throw refusal(field, "\(field): an id has 1 to \(Limits.identifier) bytes, and no U+0000.")
        }
    }

    static func check(_ packet: RingPacket) throws(DriveError) {
        guard LiveEvent.isType(packet.type) else {
            throw refusal(
                "packet.type", "packet.type needs 1 to 64 visible ASCII characters, without quotation marks, backslashes and commas.")
        }
        guard !reservedTypes.contains(packet.type) else {
            throw refusal("packet.type", "packet.type must not be one by which the stream itself speaks, such as \(packet.type).")
        }
        guard packet.data.utf8.count <= Limits.packet else {
            throw refusal("packet.data", "packet.data is longer than \(Limits.packet) bytes.")
        }
        if StoredText.suspect(Data(packet.data.utf8))?.holdsNUL == true {
            throw refusal("packet.data", "packet.data must not hold the character U+0000.")
        }
        if let message = packet.errorMessage { try check(message, "packet.error_message", Limits.errorMessage) }
    }

    static func check(_ notification: PushNotification) throws(DriveError) {
        guard !notification.title.isEmpty || !notification.body.isEmpty || notification.isSilent else {
            throw refusal("notification.title", "notification.title or notification.body is needed, unless notification.is_silent.")
        }
        try check(notification.topic, "notification.topic", Limits.topic)
        try check(notification.title, "notification.title", Limits.title)
        try check(notification.subtitle, "notification.subtitle", Limits.title)
        try check(notification.body, "notification.body", Limits.body)
        if let address = notification.actionURI {
            try check(address, "notification.action_uri", Limits.actionURI)
            try ActionURI.check(address, "notification.action_uri")
        }
        guard let meta = notification.meta else { return }
        guard let text = try? DriveJSON.text(meta), text.utf8.count <= Limits.meta else {
            throw refusal("notification.meta", "notification.meta is longer than \(Limits.meta) bytes.")
        }
        guard !meta.holdsNUL else { throw refusal("notification.meta", "notification.meta must not hold the character U+0000.") }
    }

    private static func check(_ text: String, _ field: String, _ limit: Int) throws(DriveError) {
        guard text.utf8.count <= limit else { throw refusal(field, "\(field) is longer than \(limit) bytes.") }
        guard !text.utf8.contains(0) else { throw refusal(field, "\(field) must not hold the character U+0000.") }
    }
}

extension DriveError.Code {
    /// The server was given no way to send mail. Over gRPC alone.
    static let mailUnavailable = Self("MAIL_UNAVAILABLE", .preconditionFailed)
}
