import DriveModel
import NIOCore
import Synchronization

/// Bounds the connections of the RingService's port, and the calls over them.
final class RingConnections: Sendable {
    private struct State {
        var book: ConnectionBook<ContinuousClock.Instant>
        var channels: [Int: any Channel] = [:]
    }

    private let state: Mutex<State>
    /// Told the address of a connection that was not let in, on an event loop.
    private let refused: @Sendable (String?) -> Void

    init(limits: RingLimits, refused: @escaping @Sendable (String?) -> Void) {
        self.refused = refused
        state = Mutex(State(book: ConnectionBook(limits: limits)))
    }

    /// Has the door stand before whatever sets an accepted connection up; on the listening channel's event loop.
    func guardDoor(of listener: any Channel) -> EventLoopFuture<Void> {
        listener.eventLoop.makeCompletedFuture { try listener.pipeline.syncOperations.addHandler(Door(connections: self)) }
    }

    fileprivate func admit(_ channel: any Channel) -> Bool {
        // Without an address its peer has gone already.
        guard let address = channel.remoteAddress, let name = Self.name(of: address) else { return false }
        let now = ContinuousClock.now
        let number = state.withLock { state -> Int? in
            let number = state.book.admit(name, of: Self.network(of: address), at: now)
            if let number { state.channels[number] = channel }
            return number
        }
        guard let number else {
            refused(address.ipAddress)
            return false
        }
        channel.closeFuture.whenComplete { [self] _ in
            state.withLock { state in
                state.book.remove(number)
                state.channels[number] = nil
            }
        }
        return true
    }

    /// Notes a call that has shown the token; nil where there are enough. It counts for as long as somebody has the place.
    func begin(over peer: String) -> CallPlace? {
        switch state.withLock({ $0.book.begin(over: peer) }) {
        case .begun(let number): CallPlace(connections: self, number: number)
        case .refused: nil
        }
    }

    fileprivate func end(_ number: Int?) { state.withLock { $0.book.end(number, at: .now) } }

    /// Closes the connection, unless somebody has shown the token over it. A stream that was answered keeps what came of a message for
    /// as long as its caller does not end it; so it is not enough to answer.
    func closeStranger(_ peer: String) {
        state.withLock { state in state.book.stranger(peer).flatMap { state.channels[$0] } }?.close(promise: nil)
    }

    /// Closes the connections whose time is over.
    func closeOverdue() {
        for channel in state.withLock({ state in state.book.overdue(at: .now).compactMap { state.channels[$0] } }) {
            channel.close(promise: nil)
        }
    }

    /// As gRPC names the peer of a call.
    private static func name(of address: SocketAddress) -> String? {
        guard let port = address.port else { return nil }
        return switch address {
        case .v4(let v4): "ipv4:\(v4.host):\(port)"
        case .v6(let v6): "ipv6:[\(v6.host)]:\(port)"
        case .unixDomainSocket: nil
        }
    }

    /// Who has an IPv6 address has a /64 network of them.
    static func network(of address: SocketAddress) -> String {
        guard let ip = address.ipAddress.flatMap({ IPAddress($0) }) else { return "" }
        return ip.family == .v4 ? ip.description : "\(ip.bits >> 64)"
    }
}

/// One call's place among those that are under way.
final class CallPlace: Sendable {
    private let connections: RingConnections
    private let number: Int?

    fileprivate init(connections: RingConnections, number: Int?) {
        self.connections = connections
        self.number = number
    }

    deinit { connections.end(number) }
}

/// Lets accepted connections through to those that set them up.
private final class Door: ChannelInboundHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel

    private let connections: RingConnections

    init(connections: RingConnections) {
        self.connections = connections
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = unwrapInboundIn(data)
        guard connections.admit(channel) else {
            channel.close(promise: nil)
            return
        }
        context.fireChannelRead(data)
    }
}
