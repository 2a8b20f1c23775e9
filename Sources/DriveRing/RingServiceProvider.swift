import DriveEvents
import DriveModel
internal import GRPCCore
internal import SwiftProtobuf

/// Answers the calls of other programs: reads their messages, and asks the office.
struct RingServiceProvider: RegistrableRPCService {
    let office: any RingOffice
    /// How long a call's message may take to be there.
    let patience: Duration

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        let (service, office) = (ServiceDescriptor.ring, office)

        add("SendEmail", to: &router) { (request: Proto_SendEmailRequest, caller) throws(DriveError) in
            guard request.hasEmail else { throw Self.missing("email") }
            let mail = request.email
            try await office.send(
                RingMail(toName: mail.toName, toAddress: mail.toAddress, subject: mail.subject, body: mail.body), for: caller)
        }

        add("PushWebSocketPacket", to: &router) { (request: Proto_PushWebSocketPacketRequest, _) throws(DriveError) in
            try await office.push(try Self.packet(request.packet, request.hasPacket), to: .user(request.userID))
        }
        add("PushWebSocketPacketToUsers", to: &router) { (request: Proto_PushWebSocketPacketToUsersRequest, _) throws(DriveError) in
            try await office.push(try Self.packet(request.packet, request.hasPacket), to: .users(request.userIds))
        }
        add("PushWebSocketPacketToDevice", to: &router) { (request: Proto_PushWebSocketPacketToDeviceRequest, _) throws(DriveError) in
            try await office.push(try Self.packet(request.packet, request.hasPacket), to: .device(request.deviceID))
        }
        add("PushWebSocketPacketToDevices", to: &router) { (request: Proto_PushWebSocketPacketToDevicesRequest, _) throws(DriveError) in
            try await office.push(try Self.packet(request.packet, request.hasPacket), to: .devices(request.deviceIds))
        }

        add("SendPushNotificationToUser", to: &router) { (request: Proto_SendPushNotificationToUserRequest, _) throws(DriveError) in
            let notification = try Self.notification(request.notification, request.hasNotification)
            try await office.notify(notification, users: .user(request.userID))
        }
        add("SendPushNotificationToUsers", to: &router) { (request: Proto_SendPushNotificationToUsersRequest, _) throws(DriveError) in
            let notification = try Self.notification(request.notification, request.hasNotification)
            try await office.notify(notification, users: .users(request.userIds))
        }
        add("UnsubscribePushNotifications", to: &router) {
            (request: Proto_UnsubscribePushNotificationsRequest, caller) throws(DriveError) in
            try await office.unsubscribe(device: request.deviceID, for: caller)
        }

        let status = service.unary("GetWebsocketConnectionStatus")
        router.answer(status, within: patience) { (request: Proto_GetWebsocketConnectionStatusRequest, _) in
            try await RingStatus.answer { () async throws(DriveError) in
                let isConnected: Bool
                switch request.id {
                case .deviceID(let device): isConnected = try await office.isConnected(device: device)
                case .userID(let user): isConnected = try await office.areConnected(users: [user])[user] ?? false
                case nil: throw Self.missing("device_id or user_id")
                }
                return Proto_GetWebsocketConnectionStatusResponse.with { $0.isConnected = isConnected }
            }
        }
        let batch = service.unary("GetWebsocketConnectionStatusBatch")
        router.answer(batch, within: patience) { (request: Proto_GetWebsocketConnectionStatusBatchRequest, _) in
            try await RingStatus.answer { () async throws(DriveError) in
                let connected = try await office.areConnected(users: request.usersID)
                return Proto_GetWebsocketConnectionStatusBatchResponse.with { $0.isConnected = connected }
            }
        }
    }

    /// A method that answers with nothing.
    private func add<Request: SwiftProtobuf.Message, Transport: ServerTransport>(
        _ method: String, to router: inout RPCRouter<Transport>,
        _ body: @escaping @Sendable (Request, RingCaller) async throws(DriveError) -> Void
    ) {
        router.answer(ServiceDescriptor.ring.unary(method), within: patience) { (request: Request, caller) in
            try await RingStatus.answer { () async throws(DriveError) in
                try await body(request, caller)
                return Google_Protobuf_Empty()
            }
        }
    }

    private static func packet(_ packet: Proto_WebSocketPacket, _ isThere: Bool) throws(DriveError) -> RingPacket {
        guard isThere else { throw missing("packet") }
        return try packet.value
    }

    private static func notification(_ notification: Proto_PushNotification, _ isThere: Bool) throws(DriveError) -> PushNotification {
        guard isThere else { throw missing("notification") }
        return try notification.value
    }

    private static func missing(_ field: String) -> DriveError {
        DriveError(.invalidRequest, "\(field) is missing.", details: ["rule": .string(field)])
    }
}

/// Takes what a gateway's clients send.
struct RingHandlerProvider: RegistrableRPCService {
    let office: any RingOffice
    let patience: Duration

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        let office = office
        let receive = ServiceDescriptor.ringHandler.unary("ReceiveWebSocketPacket")
        router.answer(receive, within: patience) { (request: Proto_ReceiveWebSocketPacketRequest, _) in
            try await RingStatus.answer { () async throws(DriveError) in
                try await office.received(try request.packet.value, account: request.account, device: request.deviceID)
                return Google_Protobuf_Empty()
            }
        }
    }
}
