internal import GRPCCore
import Synchronization

/// What is said of the port's services: they are served until the port is to close.
final class HealthBoard: Sendable {
    /// As `grpc.health.v1.HealthCheckResponse.ServingStatus` numbers them.
    enum Status: Int32, Sendable {
        case serving = 1
        case notServing = 2
        case serviceUnknown = 3
    }

    private struct State {
        var isStopped = false
        var last = 0
        var waiting: [Int: AsyncStream<Void>.Continuation] = [:]
    }

    private let names: Set<String>
    private let state = Mutex(State())

    /// - Parameter services: beside the process itself, whose name is empty.
    init(services: [ServiceDescriptor]) {
        names = Set([""] + services.map(\.fullyQualifiedService))
    }

    func status(of service: String) -> Status {
        guard names.contains(service) else { return .serviceUnknown }
        return state.withLock { $0.isStopped } ? .notServing : .serving
    }

    func stop() {
        let waiting = state.withLock { state in
            state.isStopped = true
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for continuation in waiting { continuation.finish() }
    }

    /// Returns once the port is to close, or the Swift task is cancelled.
    func untilStopped() async {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        let number = state.withLock { state -> Int? in
            guard !state.isStopped else { return nil }
            state.last += 1
            state.waiting[state.last] = continuation
            return state.last
        }
        guard let number else { return }
        for await _ in stream {}
        state.withLock { $0.waiting[number] = nil }
    }

    /// How many wait, for tests.
    var waitingCount: Int { state.withLock { $0.waiting.count } }
}
