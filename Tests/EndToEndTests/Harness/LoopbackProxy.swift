import Foundation
import Synchronization

/// A network between a client and a server of this machine that a test can hold up, break and bring back.
///
/// It listens on a port of its own, passes bytes on to the server's, and counts them. Its blocking calls run on threads of
/// their own, two for each connection.
final class LoopbackProxy: Sendable {
    enum Direction: Hashable, Sendable {
        /// From the client to the server.
        case up
        /// From the server to the client.
        case down
    }

    private struct State {
        var target: Int
        var isDown = false
        var refused = 0
        var passed: [Direction: Int] = [:]
        var limits: [Direction: Limit] = [:]
        /// Of the threads that a limit stopped.
        var held: [DispatchSemaphore] = []
        var links: [ObjectIdentifier: Link] = [:]
    }

    private struct Limit {
        var bytes: Int
        var reached: Box<Void>
    }

    let port: Int
    private let listener: Int32
    private let state: Mutex<State>

    var base: String { "http://127.0.0.1:\(port)" }

    /// - Parameter target: the server's port.
    init(to target: Int) throws {
        (listener, port) = try LoopbackSocket.listen()
        state = Mutex(State(target: target))
        Self.onThread { [self] in acceptAll() }
    }

    // MARK: What a test does to the network

    /// Bytes that were passed on so far, in all connections together.
    func passed(_ direction: Direction) -> Int { state.withLock { $0.passed[direction, default: 0] } }

    /// Connections that found nobody: while the network was down, or the server was.
    var refused: Int { state.withLock { $0.refused } }

    /// Passes so many bytes more in a direction and no other until `lift`. Filled when one more waits to pass.
    func hold(_ direction: Direction, after bytes: Int) -> Box<Void> {
        let reached = Box<Void>()
        state.withLock { $0.limits[direction] = Limit(bytes: $0.passed[direction, default: 0] + bytes, reached: reached) }
        return reached
    }

    /// Ends every hold.
    func lift() {
        let held = state.withLock { state in
            state.limits = [:]
            defer { state.held = [] }
            return state.held
        }
        for semaphore in held { semaphore.signal() }
    }

    /// Breaks all connections, those held up too; new ones pass. What was held up is lost.
    func cut() {
        let links = state.withLock { state in
            defer { state.links = [:] }
            return Array(state.links.values)
        }
        for link in links { link.breakOff() }
        lift()
    }

    /// Breaks all connections and refuses new ones until `comeBack`.
    func goDown() {
        state.withLock { $0.isDown = true }
        cut()
    }

    func comeBack() {
        state.withLock { $0.isDown = false }
    }

    /// New connections go to this port from now on.
    func forward(to port: Int) {
        state.withLock { $0.target = port }
    }

    /// Ends the proxy with all its threads.
    func close() {
        shutdown(listener, Int32(SHUT_RDWR))
        goDown()
    }

    // MARK: Threads

    private static func onThread(_ body: @escaping @Sendable () -> Void) {
        let thread = Thread(block: body)
        thread.stackSize = 256 << 10
        thread.start()
    }

    private func acceptAll() {
        while let client = LoopbackSocket.accept(listener) {
            let target = state.withLock { $0.isDown ? nil : $0.target }
            guard let server = target.flatMap({ LoopbackSocket.connect(port: $0) }) else {
                Foundation.close(client)
                state.withLock { $0.refused += 1 }
                continue
            }
            let link = Link(client: client, server: server)
            // It may have gone down since.
            guard
                state.withLock({ state in
                    if !state.isDown { state.links[ObjectIdentifier(link)] = link }
                    return !state.isDown
                })
            else { continue }
            for direction in [Direction.up, .down] { Self.onThread { [self] in pump(link, direction) } }
        }
        Foundation.close(listener)
    }

    private func pump(_ link: Link, _ direction: Direction) {
        let (source, sink) = direction == .up ? (link.client, link.server) : (link.server, link.client)
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        loop: while LoopbackSocket.waitForBytes(source) {
            switch take(from: source, of: link, direction, into: &buffer) {
            case .bytes(let count): guard LoopbackSocket.send(buffer[..<count], to: sink) else { break loop }
            case .held(let semaphore): semaphore.wait()
            case .none: continue
            case .ended: break loop
            }
        }
        link.breakOff()
        _ = state.withLock { $0.links.removeValue(forKey: ObjectIdentifier(link)) }
    }

    private enum Taken {
        case bytes(Int), held(DispatchSemaphore), none, ended
    }

    /// What may pass now. Counted under the lock, so that all connections together keep to a limit.
    private func take(from source: Int32, of link: Link, _ direction: Direction, into buffer: inout [UInt8]) -> Taken {
        state.withLock { state in
            // What a broken connection still has in its buffers passes no more.
            guard state.links[ObjectIdentifier(link)] != nil else { return .ended }
            let limit = state.limits[direction]
            let room = limit.map { $0.bytes - state.passed[direction, default: 0] } ?? buffer.count
            // An end of the stream is no byte that waits.
            let flags = Int32(MSG_DONTWAIT) | (room > 0 ? 0 : Int32(MSG_PEEK))
            let count = recv(source, &buffer, min(buffer.count, max(1, room)), flags)
            if count < 0 { return errno == EAGAIN || errno == EINTR ? .none : .ended }
            if count == 0 { return .ended }
            guard room > 0 else {
                let semaphore = DispatchSemaphore(value: 0)
                state.held.append(semaphore)
                limit?.reached.fill(())
                return .held(semaphore)
            }
            state.passed[direction, default: 0] += count
            return .bytes(count)
        }
    }

    /// A connection of the client and the one to the server that belongs to it; closed when nobody uses them any more.
    private final class Link: Sendable {
        let client: Int32
        let server: Int32

        init(client: Int32, server: Int32) {
            self.client = client
            self.server = server
        }

        deinit {
            Foundation.close(client)
            Foundation.close(server)
        }

        func breakOff() {
            shutdown(client, Int32(SHUT_RDWR))
            shutdown(server, Int32(SHUT_RDWR))
        }
    }
}
