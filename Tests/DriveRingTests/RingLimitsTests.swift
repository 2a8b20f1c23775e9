import DriveEvents
import DriveModel
import GRPCCore
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import DriveRing

/// What the port of the RingService bounds, over a socket.
@Suite(.timeLimit(.minutes(1))) struct RingLimitsTests {
    /// Holds each packet until it is let go.
    private final class Office: RingOffice {
        let begun: AsyncStream<Void>
        private let beginning: AsyncStream<Void>.Continuation
        let held: AsyncStream<Void>
        let holding: AsyncStream<Void>.Continuation

        init() {
            (begun, beginning) = AsyncStream.makeStream(of: Void.self)
            (held, holding) = AsyncStream.makeStream(of: Void.self)
        }

        func refusedToken(of caller: RingCaller) async {}
        func send(_ mail: RingMail, for caller: RingCaller) async throws(DriveError) {}
        func push(_ packet: RingPacket, to recipients: RingRecipients) async throws(DriveError) {
            beginning.yield()
            for await _ in held {}
        }
        func notify(_ notification: PushNotification, users: RingRecipients) async throws(DriveError) {}
        func unsubscribe(device: String, for caller: RingCaller) async throws(DriveError) {}
        func isConnected(device: String) async throws(DriveError) -> Bool { false }
        func areConnected(users: [String]) async throws(DriveError) -> [String: Bool] { [:] }
        func received(_ packet: RingPacket, account: String, device: String) async throws(DriveError) {}
    }

    private static let token = "0123456789abcdef"

    private func with(
        _ change: (inout RingLimits) -> Void,
        _ body: @Sendable @escaping (_ port: Int, _ client: RingGatewayClient, _ office: Office) async throws -> Void
    ) async throws {
        var limits = RingLimits()
        change(&limits)
        let office = Office()
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
                address: address, token: Self.token, authorities: nil, eventLoopGroup: .singletonMultiThreadedEventLoopGroup)
            group.addTask { try await client.run() }
            try await body(address.port, client, office)
            office.holding.finish()
            client.stop()
            server.stop()
            try await group.waitForAll()
        }
    }

    /// A peer that says nothing.
    private func silent(_ port: Int) async throws -> any Channel {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(host: "127.0.0.1", port: port).get()
    }

    @Test func oneConnectionTooManyIsClosed() async throws {
        try await with {
            $0.connectionsPerAddress = 3
        } _: { port, client, _ in
            #expect(await client.notify(PushNotification(topic: "t", title: "x"), user: "one") == .delivered)
            let (first, second) = (try await silent(port), try await silent(port))
            try await silent(port).closeFuture.get()
            #expect(first.isActive && second.isActive)
            #expect(await client.notify(PushNotification(topic: "t", title: "x"), user: "one") == .delivered)
            try await first.close()
            try await second.close()
        }
    }

    @Test func whoDoesNotSignInIsClosed() async throws {
        try await with {
            $0.signInTime = .milliseconds(300)
            $0.lookInterval = .milliseconds(50)
        } _: { port, client, office in
            let packet = Task { await client.push(RingPacket(type: "x", data: "{}"), to: "one") }
            var begun = office.begun.makeAsyncIterator()
            _ = await begun.next()
            try await silent(port).closeFuture.get()
            office.holding.finish()
            #expect(await packet.value == .delivered, "who has signed in stays")
        }
    }

    @Test func oneCallTooManyIsRefused() async throws {
        try await with {
            $0.calls = 1
        } _: { _, client, office in
            let packet = Task { await client.push(RingPacket(type: "x", data: "{}"), to: "one") }
            var begun = office.begun.makeAsyncIterator()
            _ = await begun.next()
            guard case .retry(_, let reason) = await client.notify(PushNotification(topic: "t", title: "x"), user: "one") else {
                Issue.record("it was taken")
                return
            }
            #expect(reason.hasPrefix("resourceExhausted"), "\(reason)")
            office.holding.finish()
            #expect(await packet.value == .delivered)
            // The place is free again, at the latest a moment after the answer.
            var outcome = PushOutcome.refused(reason: "not asked")
            for _ in 0..<100 where outcome != .delivered {
                outcome = await client.notify(PushNotification(topic: "t", title: "x"), user: "one")
            }
            #expect(outcome == .delivered)
        }
    }

    @Test func healthIsOfTheServicesThatThereAre() async {
        let board = HealthBoard(services: [.ring, .ringHandler])
        #expect(["", "proto.RingService", "proto.RingHandlerService"].allSatisfy { board.status(of: $0) == .serving })
        #expect(board.status(of: "proto.Nonsense") == .serviceUnknown)
        let waiting = Task { await board.untilStopped() }
        while board.waitingCount == 0 { await Task.yield() }
        board.stop()
        await waiting.value
        // Behind the end nobody waits.
        await board.untilStopped()
        #expect(board.status(of: "") == .notServing && board.waitingCount == 0 && board.status(of: "x") == .serviceUnknown)
    }

    /// Who goes takes no place along.
    @Test func whoStopsWaitingForTheEndIsForgotten() async {
        let board = HealthBoard(services: [])
        let waiting = Task { await board.untilStopped() }
        while board.waitingCount == 0 { await Task.yield() }
        waiting.cancel()
        await waiting.value
        #expect(board.waitingCount == 0)
    }
}
