import DriveEvents
import DriveModel
import NIOPosix
import Testing

@testable import DriveRing

/// An office that takes everything and does nothing; a test's own says what differs.
protocol IdleOffice: RingOffice {}

extension IdleOffice {
    func refusedToken(of caller: RingCaller) async {}
    func send(_ mail: RingMail, for caller: RingCaller) async throws(DriveError) {}
    func push(_ packet: RingPacket, to recipients: RingRecipients) async throws(DriveError) {}
    func notify(_ notification: PushNotification, users: RingRecipients) async throws(DriveError) {}
    func unsubscribe(device: String, for caller: RingCaller) async throws(DriveError) {}
    func isConnected(device: String) async throws(DriveError) -> Bool { false }
    func areConnected(users: [String]) async throws(DriveError) -> [String: Bool] { [:] }
    func received(_ packet: RingPacket, account: String, device: String) async throws(DriveError) {}
}

/// A RingService on a free port, and a client of it.
enum RingStand {
    static let token = "0123456789abcdef"

    /// - Parameter token: the client's.
    static func with(
        _ office: some RingOffice, token: String? = Self.token, limits: RingLimits = RingLimits(),
        _ body: @Sendable @escaping (_ port: Int, _ client: RingGatewayClient) async throws -> Void
    ) async throws {
        let server = try RingServer(
            host: "127.0.0.1", port: 0, token: Self.token, certificates: nil, office: office,
            eventLoopGroup: .singletonMultiThreadedEventLoopGroup, limits: limits)
        let (places, place) = AsyncStream.makeStream(of: String.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run { place.yield($0) } }
            var iterator = places.makeAsyncIterator()
            let bound = try #require(await iterator.next())
            let address = try #require(RingAddress("http://\(bound)"))
            let client = try RingGatewayClient(
                address: address, token: token, authorities: nil, eventLoopGroup: .singletonMultiThreadedEventLoopGroup)
            group.addTask { try await client.run() }
            try await body(address.port, client)
            client.stop()
            server.stop()
            try await group.waitForAll()
        }
    }
}
