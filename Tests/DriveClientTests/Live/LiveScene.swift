import DriveModel
import Foundation
import Synchronization

@testable import DriveClient

/// A client of a server that sends events as a test says.
enum LiveScene {
    static let account = UUID()

    static func with(
        _ answer: @escaping @Sendable (ServerRequest) async -> ServerAnswer, _ body: (DriveClient, SilenceClock) async throws -> Void
    ) async throws {
        let clock = SilenceClock()
        try await ScriptedServer.with(answer, clock.surroundings) { client in try await body(client, clock) }
    }

    /// A stream of these pieces, good for one request.
    static func stream(_ pieces: String..., end: ServerAnswer.StreamEnd = .silence) -> ServerAnswer {
        let (stream, teller) = AsyncStream.makeStream(of: String.self)
        for piece in pieces { teller.yield(piece) }
        teller.finish()
        return .stream(stream, end: end)
    }

    static func ready(_ sequence: Int64, _ beginning: LiveEventMessage.Ready.Beginning = .now) -> String {
        "event: ready\ndata: \(TaskScene.text(LiveEventMessage.Ready(accountId: account, sequence: sequence, beginning: beginning)))\n\n"
    }

    static func snapshot(_ sequence: Int64, _ tasks: [TaskSummary] = []) -> String {
        let snapshot = LiveEventMessage.Snapshot(sequence: sequence, tasks: tasks, isComplete: true)
        return "event: snapshot\ndata: \(TaskScene.text(snapshot))\n\n"
    }

    static func event(_ sequence: Int64, _ type: String = "task.completed", _ data: JSONValue = ["taskId": "t"]) -> String {
        "id: \(sequence)\nevent: \(type)\ndata: \(TaskScene.text(data))\n\n"
    }
}

/// Answers requests for events in order, the last one again and again, and all others by a closure. Keeps what was asked.
///
/// A stream that is to be cut is cut when the test says so: a client whose connection breaks loses what it has not read yet.
final class EventScript: Sendable {
    private struct State {
        var answers: [ServerAnswer]
        var events: [ServerRequest] = []
        var others: [ServerRequest] = []
        var uncut: AsyncStream<String>.Continuation?
    }
    private let state: Mutex<State>
    private let other: @Sendable (ServerRequest) -> ServerAnswer

    init(_ answers: [ServerAnswer], other: @escaping @Sendable (ServerRequest) -> ServerAnswer = { _ in errorAnswer(404, "NOT_FOUND") }) {
        state = Mutex(State(answers: answers))
        self.other = other
    }

    @Sendable func answer(_ request: ServerRequest) -> ServerAnswer {
        guard request.path == "/api/events" else {
            state.withLock { $0.others.append(request) }
            return other(request)
        }
        let answer = state.withLock { state in
            state.events.append(request)
            return state.answers.count > 1 ? state.answers.removeFirst() : state.answers[0]
        }
        guard case .stream(let pieces, .cut) = answer else { return answer }
        let (held, teller) = AsyncStream.makeStream(of: String.self)
        state.withLock { $0.uncut = teller }
        Task { for await piece in pieces { teller.yield(piece) } }
        return .stream(held, end: .cut)
    }

    /// Cuts the stream that is, where it is one of those.
    func cut() { state.withLock { $0.uncut.take() }?.finish() }

    /// The requests for events.
    var events: [ServerRequest] { state.withLock { $0.events } }
    /// All other requests.
    var others: [ServerRequest] { state.withLock { $0.others } }
}

/// Time that moves where somebody waits, but for the watch on a connection's silence, which ends where a test says so. A jitter
/// of one half.
final class SilenceClock: Sendable {
    private struct State {
        var now = Duration.zero
        var waits: [Duration] = []
        var fired = 0
        var nextId = 0
        var watches: [Int: CheckedContinuation<Void, any Error>] = [:]
    }
    private let state = Mutex(State())

    /// The waits that were no watch, in order.
    var waits: [Duration] { state.withLock { $0.waits } }

    /// Ends the watch that is, or the next one: nothing came for so long.
    func endSilence() {
        let watch = state.withLock { state -> CheckedContinuation<Void, any Error>? in
            guard let first = state.watches.keys.min() else {
                state.fired += 1
                return nil
            }
            state.now += LiveConnection.silence
            return state.watches.removeValue(forKey: first)
        }
        watch?.resume()
    }

    /// Ends every watch until the client has noticed, which its wait before the next attempt shows: one that is ended in the moment in
    /// which something comes after all is not noticed.
    func endSilences() async {
        while true {
            let (watch, isNoticed) = state.withLock { state -> (CheckedContinuation<Void, any Error>?, Bool) in
                guard state.waits.isEmpty else { return (nil, true) }
                guard let first = state.watches.keys.min() else { return (nil, false) }
                state.now += LiveConnection.silence
                return (state.watches.removeValue(forKey: first), false)
            }
            watch?.resume()
            if isNoticed { return }
            try? await Task.sleep(for: .milliseconds(2))
        }
    }

    var surroundings: ClientSurroundings {
        ClientSurroundings(
            monotonic: { self.state.withLock { $0.now } },
            sleep: { delay in
                try Task.checkCancellation()
                guard delay < LiveConnection.silence else { return try await self.watch() }
                self.state.withLock { state in
                    state.now += delay
                    state.waits.append(delay)
                }
                await Task.yield()
            },
            jitter: { 0.5 })
    }

    private func watch() async throws {
        let id = state.withLock { state in
            state.nextId += 1
            return state.nextId
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let ends = state.withLock { state -> Bool in
                    guard state.fired > 0 else {
                        state.watches[id] = continuation
                        return false
                    }
                    state.fired -= 1
                    state.now += LiveConnection.silence
                    return true
                }
                if ends { return continuation.resume() }
                // Cancelled before it was kept.
                if Task.isCancelled { cancel(id) }
            }
        } onCancel: {
            cancel(id)
        }
    }

    private func cancel(_ id: Int) {
        state.withLock { $0.watches.removeValue(forKey: id) }?.resume(throwing: CancellationError())
    }
}
