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
    private final class Office: IdleOffice {
        let begun: AsyncStream<Void>
        private let beginning: AsyncStream<Void>.Continuation
        let held: AsyncStream<Void>
        let holding: AsyncStream<Void>.Continuation

        init() {
            (begun, beginning) = AsyncStream.makeStream(of: Void.self)
            (held, holding) = AsyncStream.makeStream(of: Void.self)
        }

        func push(_ packet: RingPacket, to recipients: RingRecipients) async throws(DriveError) {
            beginning.yield()
            for await _ in held {}
        }
    }

    private func with(
        _ change: (inout RingLimits) -> Void,
        _ body: @Sendable @escaping (_ port: Int, _ client: RingGatewayClient, _ office: Office) async throws -> Void
    ) async throws {
        var limits = RingLimits()
        change(&limits)
        let office = Office()
        try await RingStand.with(office, limits: limits) { port, client in
            try await body(port, client, office)
            office.holding.finish()
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
            // Long enough for who does, on a busy machine.
            $0.signInTime = .seconds(3)
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

    /// Messages as their bytes.
    private struct Wire: MessageSerializer, MessageDeserializer {
        typealias Message = [UInt8]

        func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Bytes { Bytes(message) }
        func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> [UInt8] { bytes.withUnsafeBytes { Array($0) } }
    }

    /// A call whose message, an empty one, is sent when the stream ends.
    ///
    /// - Returns: nil where it was answered.
    private func call(
        _ method: MethodDescriptor, over client: RingGatewayClient, until stream: AsyncStream<Void>
    ) async throws -> RPCError.Code? {
        let request = StreamingClientRequest<[UInt8]>(metadata: ["authorization": "Bearer \(RingStand.token)"]) { writer in
            for await _ in stream {}
            try await writer.write([])
        }
        do {
            _ = try await client.client.clientStreaming(
                request: request, descriptor: method, serializer: Wire(), deserializer: Wire(), options: .defaults
            ) { response in try response.message }
            return nil
        } catch let error as RPCError {
            return error.code
        }
    }

    // Of no known type: of a unary call the client sends nothing before its end.
    private static let mail = MethodDescriptor(service: .ring, method: "SendEmail")
    private static let check = MethodDescriptor(service: .health, method: "Check")

    @Test func aCallWhoseMessageDoesNotComeEnds() async throws {
        try await with {
            $0.messagePatience = .milliseconds(50)
        } _: { _, client, _ in
            let (stream, never) = AsyncStream.makeStream(of: Void.self)
            defer { never.finish() }
            let code = try await call(Self.mail, over: client, until: stream)
            #expect(code == .deadlineExceeded)
        }
    }

    @Test func oneQuestionTooManyIsRefused() async throws {
        try await with {
            $0.probes = 1
            $0.probePatience = .seconds(60)
        } _: { _, client, _ in
            let streams = (0..<2).map { _ in AsyncStream.makeStream(of: Void.self) }
            let codes = try await withThrowingTaskGroup(of: RPCError.Code?.self) { group in
                for (stream, _) in streams { group.addTask { try await call(Self.check, over: client, until: stream) } }
                var codes: [RPCError.Code?] = []
                for try await code in group {
                    codes.append(code)
                    for (_, end) in streams { end.finish() }
                }
                return codes
            }
            // The other one has the place, whichever it is.
            #expect(codes == [.resourceExhausted, nil])
        }
    }

    @Test func aQuestionThatDoesNotComeHasItsPlaceForAWhile() async throws {
        try await with {
            $0.probes = 1
            $0.probePatience = .seconds(1)
        } _: { _, client, _ in
            // Over a connection that has not shown the token it would end that.
            #expect(await client.notify(PushNotification(topic: "t", title: "x"), user: "one") == .delivered)
            let (stream, end) = AsyncStream.makeStream(of: Void.self)
            defer { end.finish() }
            let late = try await call(Self.check, over: client, until: stream)
            #expect(late == .deadlineExceeded)
            end.finish()
            let answered = try await call(HealthProvider.check, over: client, until: stream)
            #expect(answered == nil)
        }
    }

    /// What connections are counted by.
    @Test(arguments: [
        ("192.0.2.7", "192.0.2.7", true), ("192.0.2.7", "192.0.2.8", false), ("192.0.2.7", "::ffff:192.0.2.7", true),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true), ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ("::1", "192.0.2.7", false), ("::192.0.2.7", "192.0.2.7", false),
    ])
    func aNetworkIsAnAddressOrSixtyFourBitsOfOne(one: String, other: String, isSame: Bool) throws {
        let networks = try [one, other].enumerated().map { RingConnections.network(of: try SocketAddress(ipAddress: $1, port: $0)) }
        #expect((networks[0] == networks[1]) == isSame, "\(networks)")
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
