import DriveEvents
import DriveModel
import Foundation
import GRPCCore
import NIOPosix
import Synchronization
import Testing

@testable import DriveRing

/// The client and the server of the RingService, against each other over a socket.
@Suite(.timeLimit(.minutes(1))) struct RingLoopTests {
    /// Notes what was asked, and refuses what it is told to.
    private final class Office: IdleOffice {
        enum Call: Hashable {
            case packet(RingPacket, RingRecipients)
            case notification(PushNotification, RingRecipients)
        }

        let calls = Mutex<[Call]>([])
        let refusal = Mutex<DriveError?>(nil)
        let refused = Mutex<[String?]>([])

        private func note(_ call: Call) throws(DriveError) {
            if let error = refusal.withLock({ $0 }) { throw error }
            calls.withLock { $0.append(call) }
        }

        func refusedToken(of caller: RingCaller) async { refused.withLock { $0.append(caller.address) } }
        func push(_ packet: RingPacket, to recipients: RingRecipients) async throws(DriveError) { try note(.packet(packet, recipients)) }
        func notify(_ notification: PushNotification, users: RingRecipients) async throws(DriveError) {
            try note(.notification(notification, users))
        }
    }

    private func with(
        token: String? = RingStand.token, _ body: @Sendable @escaping (RingGatewayClient, Office) async throws -> Void
    ) async throws {
        let office = Office()
        try await RingStand.with(office, token: token) { _, client in try await body(client, office) }
    }

    /// With the status alone of its reason.
    private func brief(_ outcome: PushOutcome) -> PushOutcome {
        func word(_ reason: String) -> String { String(reason.prefix { $0 != ":" }) }
        return switch outcome {
        case .retry(let after, let reason): .retry(after: after, reason: word(reason))
        case .refused(let reason): .refused(reason: word(reason))
        case .credentials(let reason): .credentials(reason: word(reason))
        default: outcome
        }
    }

    @Test func aReasonSaysWhatIsTheMatterOnOneLine() {
        let error = RPCError(code: .unavailable, message: "no\n\"one\"", cause: IOLike())
        #expect(RingStatus.reason(error) == "unavailable: no one (refused)")
        #expect(RingStatus.reason(RPCError(code: .unknown, message: String(repeating: "x", count: 900))).count == 300)
    }

    private struct IOLike: Error, CustomStringConvertible { var description: String { "refused" } }

    @Test func aPacketComesAsItWasSaid() async throws {
        try await with { client, office in
            let plain = RingPacket(type: "task.completed", data: #"{"taskId":"é"}"#)
            let failed = RingPacket(type: "x", data: "{}", errorMessage: "no")
            #expect(await brief(client.push(plain, to: "one")) == .delivered)
            #expect(await brief(client.push(failed, to: "two")) == .delivered)
            #expect(office.calls.withLock { $0 } == [.packet(plain, .user("one")), .packet(failed, .user("two"))])
        }
    }

    @Test func aNotificationComesAsItWasSaid() async throws {
        try await with { client, office in
            let full = PushNotification(
                topic: "t", title: "Title", subtitle: "Sub", body: "Body", meta: .object(["n": .integer(1)]), actionURI: "https://a/b",
                isSilent: true, isSavable: false)
            let bare = PushNotification(topic: "t", title: "")
            #expect(await brief(client.notify(full, user: "one")) == .delivered)
            #expect(await brief(client.notify(bare, user: "one")) == .delivered)
            #expect(office.calls.withLock { $0 } == [.notification(full, .user("one")), .notification(bare, .user("one"))])
        }
    }

    @Test(arguments: [nil, "", "0123456789abcdeF", "0123456789abcdef0"]) func withoutTheTokenNobodyIsHeard(_ token: String?) async throws {
        try await with(token: token) { client, office in
            #expect(await brief(client.push(RingPacket(type: "x", data: "{}"), to: "one")) == .credentials(reason: "unauthenticated"))
            #expect(office.calls.withLock { $0.isEmpty })
            #expect(office.refused.withLock { $0 } == ["127.0.0.1"])
        }
    }

    @Test(arguments: [
        (DriveError(.notFound, "no"), PushOutcome.unregistered),
        (DriveError(.invalidRequest, "no"), .refused(reason: "invalidArgument")),
        (DriveError(.databaseUnavailable, "no"), .retry(after: nil, reason: "unavailable")),
        (DriveError(.rateLimited, "no"), .retry(after: nil, reason: "resourceExhausted")),
        (DriveError(.forbidden, "no"), .credentials(reason: "permissionDenied")),
    ]) func aRefusalIsUnderstood(_ error: DriveError, _ outcome: PushOutcome) async throws {
        try await with { client, office in
            office.refusal.withLock { $0 = error }
            #expect(await brief(client.push(RingPacket(type: "x", data: "{}"), to: "one")) == outcome)
        }
    }

    @Test func dataThatIsNoObjectIsRefused() async throws {
        try await with { client, office in
            for data in ["[]", "1", "{", "\u{FEFF}", #"{"a":}"#] {
                #expect(
                    await brief(client.push(RingPacket(type: "x", data: data), to: "one")) == .refused(reason: "invalidArgument"), "\(data)"
                )
            }
            #expect(office.calls.withLock { $0.isEmpty })
        }
    }

    /// By its bytes, before it is read: it need not be JSON at all.
    @Test func dataThatIsTooLongIsNotRead() async throws {
        let error = #expect(throws: DriveError.self) {
            try RingJSON.object(Data(repeating: UInt8(ascii: "["), count: 11), of: "packet.data", atMost: 10)
        }
        #expect(error?.message == "packet.data is longer than 10 bytes." && error?.details["rule"] == "packet.data")
        try await with { client, office in
            func packet(_ bytes: Int) -> RingPacket {
                RingPacket(type: "x", data: #"{"a":""# + String(repeating: "x", count: bytes - 8) + #""}"#)
            }
            let (most, more) = (packet(RingLimits.packetData), packet(RingLimits.packetData + 1))
            #expect(await brief(client.push(most, to: "one")) == .delivered)
            #expect(await brief(client.push(more, to: "one")) == .refused(reason: "invalidArgument"))
            #expect(office.calls.withLock { $0 } == [.packet(most, .user("one"))])
        }
    }

    @Test func nobodyThereIsWorthAnotherTry() async throws {
        let address = RingAddress(isSecure: false, host: "127.0.0.1", port: 1)
        let client = try RingGatewayClient(
            address: address, token: nil, authorities: nil, eventLoopGroup: .singletonMultiThreadedEventLoopGroup)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await client.run() }
            #expect(await brief(client.push(RingPacket(type: "x", data: "{}"), to: "one")) == .retry(after: nil, reason: "unavailable"))
            client.stop()
            try await group.waitForAll()
        }
    }
}
