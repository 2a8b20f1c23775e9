import DriveModel
import Foundation
import TestSupport
import Testing

/// The standard health service of Drive's RingService, and what callers may hold of its port.
@Suite(.timeLimit(.minutes(2))) struct RingServiceHealthTests {
    /// `HealthCheckRequest {string service = 1}`.
    private static func question(_ service: String) -> [String: JSONValue] {
        ["raw": .string(Data([0x0A, UInt8(service.utf8.count)] + service.utf8).base64EncodedString())]
    }

    /// `HealthCheckResponse {ServingStatus status = 1}`: SERVING is 1, NOT_SERVING 2, SERVICE_UNKNOWN 3.
    private static func answer(_ status: UInt8) -> JSONValue { .string(Data([0x08, status]).base64EncodedString()) }

    private let check = "grpc.health.v1.Health/Check"
    private let watch = "grpc.health.v1.Health/Watch"

    /// Load balancers have no token.
    @Test func whoeverAsksLearnsThatItServes() async throws {
        try await RingStage.with("ring-health") { stage in
            for signIn in [RingCaller.SignIn.none, .right, .text("Bearer wrong")] {
                for service in ["", "proto.RingService", "proto.RingHandlerService"] {
                    let answer = try await stage.caller.call(check, as: signIn, more: Self.question(service))
                    #expect(answer.code == "OK" && answer.response == Self.answer(1), "\(service) \(answer)")
                }
                #expect(try await stage.caller.call(check, as: signIn, more: Self.question("proto.Nonsense")).code == "NOT_FOUND")
            }
            let refused = try await stage.caller.call(watch, as: .none, more: ["raw": "", "stream": 1])
            #expect(refused.code == "UNAUTHENTICATED", "\(refused)")
            let unknown = try await stage.caller.call(watch, more: Self.question("proto.Nonsense").merging(["stream": 1]) { $1 })
            #expect(unknown.code == "OK" && unknown.response == [Self.answer(3)], "\(unknown)")
        }
    }

    /// Nor does who watches hold the stop up.
    @Test func whoWatchesIsToldOfTheEnd() async throws {
        try await RingStage.with("ring-health-watch") { stage in
            let caller = stage.caller
            async let told = caller.call(watch, more: ["raw": "", "stream": 3])
            try await eventually(within: .seconds(10), "the first answer") { caller.log.contains("message 1") }
            let start = ContinuousClock.now
            #expect(try await stage.server.terminate() == .exited(0), "\(stage.server.log.suffix(2000))")
            #expect(ContinuousClock.now - start < .seconds(5), "it was waited for")
            let answer = try await told
            #expect(answer.code == "OK" && answer.response == [Self.answer(1), Self.answer(2)], "\(answer)")
        }
    }

    /// The caller itself has one of the fifty connections of its address.
    @Test func oneAddressHasSoManyConnections() async throws {
        try await RingStage.with("ring-connections") { stage in
            var sockets: [DeadlineSocket] = []
            for _ in 0..<50 { sockets.append(try DeadlineSocket(port: stage.port)) }
            let deadline = ContinuousClock.now + .seconds(10)
            var isClosed = false
            // Whoever is served is told the settings of HTTP/2 first.
            if let last = sockets.last { isClosed = (try? await last.read(until: deadline).isEmpty) ?? false }
            #expect(isClosed, "the one too many")
            #expect(try await !sockets[0].read(until: deadline).isEmpty, "the first one")
            try await stage.caller.taken("GetWebsocketConnectionStatusBatch", ["users_id": ringIds("nobody")])
            sockets = []
            // Their places are free again.
            try await eventually(within: .seconds(10), "a place") {
                let again = try DeadlineSocket(port: stage.port)
                return try await !again.read(until: .now + .seconds(5)).isEmpty
            }
        }
    }
}
