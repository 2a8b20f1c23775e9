import DriveEvents
import DriveModel
import Foundation
import NIOCore

/// What a client says over its WebSocket.
enum LiveRequest: Hashable, Sendable {
    /// Sign in; before anything else, and again with a newer token.
    case auth(token: String, LiveOptions)
    case ping
    /// Other events from here on.
    case subscribe(EventFilter)
    /// Whether somebody looks at the screen: no push then.
    case presence(isForeground: Bool)

    private struct Message: Decodable {
        struct Body: Decodable {
            var token: String?
            var since: Int64?
            var types: [String]?
            var taskIds: [String]?
            var deviceId: String?
            var foreground: Bool?
        }

        var type: String
        var token: String?
        var since: Int64?
        var types: [String]?
        var taskIds: [String]?
        var deviceId: String?
        var data: Body?
    }

    private static let malformed = DriveError(
        .invalidRequest, #"A message is a JSON object with a type, such as {"type":"ping"}."#, details: ["rule": "json"])

    /// Reads a message. Throws `INVALID_REQUEST` naming the rule.
    ///
    /// - Parameter options: of the handshake, where the message says nothing of its own.
    init(_ text: ByteBuffer, otherwise options: LiveOptions = .none) throws(DriveError) {
        let message: Message
        let bytes = Data(text.readableBytesView)
        do {
            message = try DriveJSON.requestDecoder().decode(Message.self, from: bytes)
        } catch let error as DecodingError {
            let fault = JSONFault.driveError(error, body: bytes) { _ = try DriveJSON.requestDecoder().decode(Message.self, from: $0) }
            guard fault.details["rule"] == "json" || fault.details["rule"] == "type" else { throw fault }
            throw Self.malformed
        } catch {
            throw Self.malformed
        }
        let body = message.data
        switch message.type {
        case "auth":
            try LiveRequestNames.check(bytes, among: LiveRequestNames.signIn)
            guard let token = message.token ?? body?.token else {
                throw DriveError(.invalidRequest, "auth needs a token.", details: ["rule": "token"])
            }
            var own = try LiveOptions(
                since: message.since ?? body?.since, types: message.types ?? body?.types, taskIds: message.taskIds ?? body?.taskIds,
                deviceId: message.deviceId ?? body?.deviceId ?? options.deviceId)
            if own.since == nil, own.filter == .all { (own.since, own.filter) = (options.since, options.filter) }
            self = .auth(token: token, own)
        case "ping": self = .ping
        case "subscribe":
            try LiveRequestNames.check(bytes, among: LiveRequestNames.subscription)
            self = .subscribe(try LiveOptions.filter(types: message.types ?? body?.types, taskIds: message.taskIds ?? body?.taskIds))
        case "presence":
            guard let isForeground = body?.foreground else {
                throw DriveError(.invalidRequest, "presence needs data.foreground, true or false.", details: ["rule": "foreground"])
            }
            self = .presence(isForeground: isForeground)
        default:
            throw DriveError(
                .invalidRequest, "type must be one of auth, ping, subscribe, presence.",
                details: ["rule": "type", "type": .string(String(message.type.prefix(64)))])
        }
    }
}
