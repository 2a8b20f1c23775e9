import Logging
import NIOCore

/// Joins the guard of one connection to its event loop: one timer, the clock, and what an action means.
///
/// Confined to the event loop, as the two handlers that share it are.
final class ConnectionDriver {
    let policy: ConnectionPolicy
    let entry: ConnectionRegistry.Entry
    private let registry: ConnectionRegistry
    private let channel: any Channel
    private let logger: Logger
    private let clock = ContinuousClock()
    private var rules: ConnectionGuard<ContinuousClock.Instant>
    private var timer: (task: Scheduled<Void>, due: ContinuousClock.Instant)?
    /// All bytes ever written towards the socket.
    var writtenBytes = 0
    /// Bytes that arrive are thrown away: the connection is closing.
    private(set) var isDiscarding = false
    private(set) var isLingering = false
    private var receiveSize = 0
    weak var socket: SocketGuardHandler?
    weak var exchange: ExchangeHandler?

    init(channel: any Channel, entry: ConnectionRegistry.Entry, registry: ConnectionRegistry, policy: ConnectionPolicy, logger: Logger) {
        self.channel = channel
        self.entry = entry
        self.registry = registry
        self.policy = policy
        self.logger = logger
        self.rules = ConnectionGuard(policy: policy, acceptedAt: clock.now)
    }

    var awaitsRequest: Bool { rules.awaitsRequest }
    var measuresBody: Bool { rules.measuresBody }
    var isStopping: Bool { rules.isStopping }

    func received(bodyBytes: Int) {
        rules.received(bodyBytes: bodyBytes)
    }

    func handle(_ event: ConnectionGuard<ContinuousClock.Instant>.Event) {
        let now = clock.now
        perform(rules.handle(event, at: now), at: now)
    }

    /// Starts the timer; called once the pipeline stands.
    func start() {
        arm(at: clock.now)
    }

    /// From here on nothing is read but to be thrown away.
    func discard() {
        isDiscarding = true
    }

    /// Our side is closed; the client has a moment to read the answer.
    func linger() {
        isLingering = true
        handle(.outputClosed)
        socket?.readOn()
    }

    func close() {
        socket?.closeNow(withFarewell: exchange?.isAnswerOpenEnded != true)
    }

    func channelClosed() {
        handle(.closed)
        timer?.task.cancel()
        timer = nil
        registry.remove(entry)
    }

    /// Fits the receive buffer to the load, where a body is about to arrive.
    func prepareToReceive() {
        registry.beginBody()
        let size = registry.receiveBufferSize(policy: policy)
        guard size != receiveSize else { return }
        receiveSize = size
        let allocator = AdaptiveRecvByteBufferAllocator(minimum: 2 << 10, initial: min(64 << 10, size), maximum: size)
        try? channel.syncOptions?.setOption(.recvAllocator, value: allocator)
    }

    func finishReceiving() {
        registry.endBody()
    }

    private func perform(_ action: ConnectionGuard<ContinuousClock.Instant>.Action, at now: ContinuousClock.Instant) {
        switch action {
        case .none: return
        case .rearm: arm(at: now)
        case .close(let reason):
            log(reason)
            // The handler may be busy with something other than the connection: it learns of the deadline too.
            if reason == .stopDeadline { entry.cancel() }
            close()
        case .refuse(let reason):
            log(reason)
            exchange?.refuse(.requestTimeout)
        case .abortBody(let reason):
            log(reason)
            arm(at: now)
            exchange?.failBody(.bodyTimedOut(reason))
        }
    }

    private func arm(at now: ContinuousClock.Instant) {
        guard let due = rules.wakeUp(after: now) else { return }
        if let timer {
            if timer.due <= due { return }
            timer.task.cancel()
        }
        let task = channel.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(now.duration(to: due))) { self.timerFired() }
        timer = (task, due)
    }

    private func timerFired() {
        timer = nil
        let buffered = (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        handle(.timer(written: writtenBytes, buffered: buffered))
        arm(at: clock.now)
    }

    private func log(_ reason: ConnectionCloseReason) {
        logger.debug("Connection ended by its guard", metadata: ["reason": "\(reason.rawValue)"])
    }
}
