import Foundation
import NIOCore
import NIOPosix
import Synchronization

/// Many WebSocket clients on one thread.
final class LiveCrowd: Sendable {
    /// What came, and who waits for more.
    private struct State: Sendable {
        var packets: [[LivePacket]]
        var counts: [String: Int] = [:]
        var lost: [String] = []
        var goal: (type: String, count: Int, box: Box<Void>)?
    }

    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let state: Mutex<State>

    init(size: Int) {
        state = Mutex(State(packets: Array(repeating: [], count: size)))
    }

    /// What each client got, in the order of their tokens.
    var packets: [[LivePacket]] { state.withLock { $0.packets } }
    /// Why connections were lost.
    var lost: [String] { state.withLock { $0.lost } }

    /// Raises the limit of open files. False where the system does not allow so many.
    static func allows(_ descriptors: Int) -> Bool {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return false }
        guard limit.rlim_cur < rlim_t(descriptors) else { return true }
        guard limit.rlim_max >= rlim_t(descriptors) else { return false }
        limit.rlim_cur = rlim_t(descriptors)
        return setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0
    }

    /// Connects a client for each token, all at once.
    ///
    /// - Parameter since: the number of the last event that each of them got.
    func connect(port: Int, tokens: [String], since: Int64? = nil) async throws {
        let target = "/ws" + (since.map { "?since=\($0)" } ?? "")
        let attempts = tokens.enumerated().map { index, token in
            ClientBootstrap(group: group).connectTimeout(.seconds(20)).channelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Member(crowd: self, index: index, target: target, token: token))
                }
            }.connect(host: "127.0.0.1", port: port)
        }
        for attempt in attempts { _ = try await attempt.get() }
    }

    /// Waits until packets of this type have come so many times in all.
    func wait(for type: String, count: Int, within limit: Duration) async throws {
        let box = Box<Void>()
        state.withLock { state in
            if state.counts[type, default: 0] >= count { box.fill(()) } else { state.goal = (type, count, box) }
        }
        do {
            try await EndToEndTests.within(limit, "\(count) \(type)") { try await box.value() }
        } catch is TimedOut {
            let (came, lost) = state.withLock { ($0.counts, $0.lost) }
            throw TimedOut(what: "\(count) times \(type); there are \(came), and lost were \(lost.prefix(5))")
        }
    }

    /// Closes all connections.
    func leave() async throws { try await group.shutdownGracefully() }

    fileprivate func note(_ packet: LivePacket, of index: Int) {
        state.withLock { state in
            state.packets[index].append(packet)
            state.counts[packet.type, default: 0] += 1
            if let goal = state.goal, state.counts[goal.type, default: 0] >= goal.count {
                state.goal = nil
                goal.box.fill(())
            }
        }
    }

    fileprivate func note(lost reason: String, of index: Int) {
        state.withLock { $0.lost.append("\(index): \(reason)") }
    }
}

/// One client. Confined to its event loop.
private final class Member: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let crowd: LiveCrowd
    private let index: Int
    private let target: String
    private let token: String
    private var isLost = false
    private var head: [UInt8]? = []
    private var frames = LiveFrameBuffer()

    init(crowd: LiveCrowd, index: Int, target: String, token: String) {
        self.crowd = crowd
        self.index = index
        self.target = target
        self.token = token
    }

    func channelActive(context: ChannelHandlerContext) {
        let lines = ["GET \(target) HTTP/1.1", "Host: 127.0.0.1", "Authorization: Bearer \(token)"] + LiveSocket.handshake
        context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(string: lines.joined(separator: "\r\n") + "\r\n\r\n")), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = Self.unwrapInboundIn(data).readableBytesView
        do {
            try read(bytes, context)
        } catch {
            lose("\(error)", context)
        }
    }

    /// The first reason counts.
    private func lose(_ reason: String, _ context: ChannelHandlerContext) {
        if !isLost { crowd.note(lost: reason, of: index) }
        isLost = true
        context.close(promise: nil)
    }

    private func read(_ bytes: ByteBufferView, _ context: ChannelHandlerContext) throws {
        if var head {
            head += bytes
            self.head = head
            guard let end = head.firstRange(of: Array("\r\n\r\n".utf8)) else { return }
            let text = String(decoding: head, as: UTF8.self)
            guard text.hasPrefix("HTTP/1.1 101 ") else { throw LiveFrame.Violation(description: text) }
            self.head = nil
            frames.append(head[end.upperBound...])
        } else {
            frames.append(bytes)
        }
        while let frame = try frames.next() {
            switch frame.opcode {
            case LiveFrame.text: crowd.note(try LivePacket(json: frame.payload), of: index)
            case LiveFrame.ping:
                let pong = LiveFrame(opcode: LiveFrame.pong, payload: frame.payload)
                context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(bytes: pong.encoded())), promise: nil)
            default: return lose("\(frame.closing)", context)
            }
        }
    }

    func channelInactive(context: ChannelHandlerContext) { lose("closed", context) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { lose("\(error)", context) }
}
