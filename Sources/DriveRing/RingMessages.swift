import DriveEvents
import DriveModel
import Foundation
internal import SwiftProtobuf

// The messages of the wire as Drive's values, and back. What cannot be a value is refused with the rule it breaks.

extension Proto_WebSocketPacket {
    init(_ packet: RingPacket) {
        self.init()
        type = packet.type
        data = Data(packet.data.utf8)
        if let message = packet.errorMessage { errorMessage = .with { $0.value = message } }
    }

    /// Throws `INVALID_REQUEST` where the data is no JSON object. Without data it is an empty one.
    var value: RingPacket {
        get throws(DriveError) {
            RingPacket(
                type: type, data: data.isEmpty ? "{}" : try RingJSON.objectText(data, of: "packet.data", atMost: RingLimits.packetData),
                errorMessage: hasErrorMessage ? errorMessage.value : nil)
        }
    }
}

extension Proto_PushNotification {
    init(_ notification: PushNotification) throws {
        self.init()
        topic = notification.topic
        title = notification.title
        subtitle = notification.subtitle
        body = notification.body
        if let meta = notification.meta { self.meta = Data(try DriveJSON.text(meta).utf8) }
        if let address = notification.actionURI { actionUri = address }
        isSilent = notification.isSilent
        isSavable = notification.isSavable
    }

    /// Throws `INVALID_REQUEST` where `meta` is no JSON object.
    var value: PushNotification {
        get throws(DriveError) {
            PushNotification(
                topic: topic, title: title, subtitle: subtitle, body: body,
                meta: hasMeta && !meta.isEmpty
                    ? .object(try RingJSON.object(meta, of: "notification.meta", atMost: RingLimits.notificationMeta)) : nil,
                actionURI: hasActionUri && !actionUri.isEmpty ? actionUri : nil, isSilent: isSilent, isSavable: isSavable)
        }
    }
}

/// JSON within messages.
enum RingJSON {
    /// - Parameter limit: bytes. What is longer is not read: in memory it may be many times as much.
    static func object(_ data: Data, of field: String, atMost limit: Int) throws(DriveError) -> [String: JSONValue] {
        guard data.count <= limit else {
            throw DriveError(.invalidRequest, "\(field) is longer than \(limit) bytes.", details: ["rule": .string(field)])
        }
        do {
            return try DriveJSON.requestDecoder().decode([String: JSONValue].self, from: data)
        } catch {
            let fault = JSONTooDeep(error).map { "is \($0)" } ?? "must be a JSON object in UTF-8, of numbers that a double can be"
            throw DriveError(.invalidRequest, "\(field) \(fault).", details: ["rule": .string(field)])
        }
    }

    /// The object's text in one line.
    static func objectText(_ data: Data, of field: String, atMost limit: Int) throws(DriveError) -> String {
        let object = try object(data, of: field, atMost: limit)
        do {
            return try DriveJSON.text(object)
        } catch {
            throw DriveError(.invalidRequest, "\(field) must be a JSON object in UTF-8.", details: ["rule": .string(field)])
        }
    }
}
