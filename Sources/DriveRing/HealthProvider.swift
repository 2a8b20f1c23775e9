internal import GRPCCore
internal import SwiftProtobuf
import Synchronization

/// The standard service by which load balancers and monitors ask for a server's health: `grpc.health.v1.Health`.
///
/// Its two messages are read and written as well-known ones that are the same on the wire: a request is one string of number 1, an
/// answer one varint of number 1.
struct HealthProvider: RegistrableRPCService {
    static let check = MethodDescriptor(service: .health, method: "Check", type: .unary)
    private static let watch = MethodDescriptor(service: .health, method: "Watch", type: .serverStreaming)

    private let board: HealthBoard
    private let places: Places
    private let patience: Duration
    private let connections: RingConnections

    init(board: HealthBoard, limits: RingLimits, connections: RingConnections) {
        self.board = board
        self.connections = connections
        places = Places(limits.probes)
        patience = limits.probePatience
    }

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        let (board, places, patience, connections) = (board, places, patience, connections)
        let reader = MessageReader<Google_Protobuf_StringValue>()
        let writer = MessageWriter<Google_Protobuf_Int32Value>()
        // It needs no token, so what a message of it takes in memory is bounded by how many there are, and for how long.
        router.registerHandler(forMethod: Self.check, deserializer: reader, serializer: writer) { request, context in
            guard places.take() else { throw RPCError(code: .resourceExhausted, message: "Too many ask at once; try again.") }
            defer { places.giveBack() }
            let service: String
            do {
                service = try await request.message(within: patience).value
            } catch {
                connections.closeStranger(context.remotePeer)
                throw error
            }
            let status = board.status(of: service)
            guard status != .serviceUnknown else { throw RPCError(code: .notFound, message: "There is no such service.") }
            return StreamingServerResponse(single: ServerResponse(message: Self.answer(status)))
        }
        router.registerHandler(forMethod: Self.watch, deserializer: reader, serializer: writer) { request, context in
            let service = try await request.message(within: patience).value
            return StreamingServerResponse { writer in
                let first = board.status(of: service)
                try await writer.write(Self.answer(first))
                await withTaskGroup(of: Void.self) { group in
                    group.addTask { await board.untilStopped() }
                    group.addTask { _ = try? await context.cancellation.cancelled }
                    await group.next()
                    group.cancelAll()
                }
                let last = board.status(of: service)
                if last != first { try await writer.write(Self.answer(last)) }
                return [:]
            }
        }
    }

    private static func answer(_ status: HealthBoard.Status) -> Google_Protobuf_Int32Value { .with { $0.value = status.rawValue } }
}

/// A number of places that are taken and given back.
private final class Places: Sendable {
    private let free: Mutex<Int>

    init(_ count: Int) {
        free = Mutex(count)
    }

    func take() -> Bool {
        free.withLock { free in
            guard free > 0 else { return false }
            free -= 1
            return true
        }
    }

    func giveBack() { free.withLock { $0 += 1 } }
}

extension ServiceDescriptor {
    static let health = ServiceDescriptor(fullyQualifiedService: "grpc.health.v1.Health")
}
