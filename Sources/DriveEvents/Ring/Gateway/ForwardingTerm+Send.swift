import DriveModel
import Foundation
import Logging
import Synchronization

extension ForwardingTerm {
    /// What one account's turn began with.
    private struct Turn {
        var round: Int
        var end: ContinuousClock.Instant
    }

    private enum Next {
        case account(UUID, Turn)
        case wait(Duration)
    }

    func sendForEver() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                switch next() {
                case .account(let account, let turn): group.addTask { [self] in await forward(account, turn) }
                case .wait(let limit): await wake.waitUnlessCancelled(atMost: limit)
                }
            }
        }
    }

    /// While the gateway takes nothing, one account at a time asks whether it does again, each time another one.
    private func next() -> Next {
        let now = steady()
        return state.withLock { state in
            guard now < state.lapses else { return .wait(pace.patience) }
            if let outage = state.outage, outage.resumes > now { return .wait(min(outage.resumes - now, pace.patience)) }
            guard state.queue.activeCount < (state.outage == nil ? pace.parallel : 1), let account = state.queue.next() else {
                return .wait(pace.lookInterval)
            }
            return .account(account, Turn(round: state.round, end: now + pace.turn))
        }
    }

    private func forward(_ account: UUID, _ turn: Turn) async {
        var isMore = true
        do {
            isMore = try await forwardPage(of: account, turn)
        } catch {
            report(error, "events cannot be read to be forwarded now")
            try? await Task.sleep(for: pace.patience)
        }
        state.withLock { $0.queue.finish(account, isMore: isMore) }
        wake.signal()
    }

    /// Sends a page of an account's events, as far as its turn goes. Returns whether there are more.
    private func forwardPage(of account: UUID, _ turn: Turn) async throws -> Bool {
        let position = state.withLock { $0.cursors[account] }
        let oldest = ForwardRule.oldest(since: since, now: directory.surroundings.now())
        let page = try await directory.forwardPage(
            of: account, after: position, oldest: oldest, limit: pace.page, localIssuer: localIssuer)
        if let user = page.user {
            for (index, event) in page.events.enumerated() {
                guard mayGoOn(turn, isFirst: index == 0), await send(event, to: user, turn) else { return true }
                move(account, to: event.sequence)
            }
        }
        // What is passed over while the gateway takes nothing is counted when it does again.
        if page.events.isEmpty, state.withLock({ $0.outage != nil }) { return false }
        if page.end > page.start { move(account, to: page.end) }
        return page.isMore
    }

    private func move(_ account: UUID, to sequence: Int64) {
        state.withLock { $0.cursors[account] = sequence }
    }

    private func mayGoOn(_ turn: Turn, isFirst: Bool) -> Bool {
        let now = steady()
        guard !Task.isCancelled, isFirst || now < turn.end else { return false }
        return state.withLock { now < $0.lapses && $0.round == turn.round }
    }

    /// Whether the event is done.
    private func send(_ event: LiveEvent, to user: String, _ turn: Turn) async -> Bool {
        switch await push(RingPacket(type: event.type, data: event.data), to: user) {
        case .delivered, .unregistered: break
        case .refused(let reason): noteRefusal(of: event, reason)
        case .retry(let after, let reason):
            noteFailure(after: after, isCredentials: false, reason, turn)
            return false
        case .credentials(let reason):
            noteFailure(after: nil, isCredentials: true, reason, turn)
            return false
        }
        await noteAnswer(turn)
        return true
    }

    /// At a stop it gets a little time: what the gateway takes then would come twice otherwise.
    private func push(_ packet: RingPacket, to user: String) async -> PushOutcome {
        let push = Task { [gateway] in await gateway.push(packet, to: user) }
        return await withTaskCancellationHandler {
            await push.value
        } onCancel: {
            Task { [pace] in
                try? await Task.sleep(for: pace.farewell)
                push.cancel()
            }
        }
    }

    // MARK: What became of it

    private func noteRefusal(of event: LiveEvent, _ reason: String) {
        let now = steady()
        guard let unsaid = state.withLock({ $0.refusals.say(at: now) }) else { return }
        logger.warning(
            "the external RingService refuses an event; it is passed over",
            metadata: ["type": "\(event.type)", "reason": "\(reason)", "unsaid": "\(unsaid)"])
    }

    private func noteFailure(after: Duration?, isCredentials: Bool, _ reason: String, _ turn: Turn) {
        // Cut off by our own stop.
        guard !Task.isCancelled else { return }
        let (now, time) = (steady(), directory.surroundings.now())
        let random = directory.surroundings.randomFraction()
        let isNews = state.withLock { state in
            guard state.round == turn.round else {
                state.outage?.extend(by: after, now: now)
                return false
            }
            state.round += 1
            var outage = state.outage ?? GatewayOutage(began: time, now: now)
            defer { state.outage = outage }
            return outage.fail(after: after, isCredentials: isCredentials, now: now, random: random)
        }
        guard isNews else { return }
        logger.log(
            level: isCredentials ? .error : .warning,
            isCredentials
                ? "the external RingService does not accept our credentials; events wait"
                : "the external RingService takes no events now; they wait",
            metadata: ["reason": "\(reason)"])
    }

    /// The gateway answered. Where it did not before, all accounts go on.
    private func noteAnswer(_ turn: Turn) async {
        // What was sent before it failed says nothing of now.
        guard let outage = state.withLock({ $0.round == turn.round ? $0.outage : nil }) else { return }
        let now = directory.surroundings.now()
        let passed = try? await directory.countUnforwarded(
            from: ForwardRule.oldest(since: since, now: outage.began), to: ForwardRule.oldest(since: since, now: now))
        state.withLock { $0.outage = nil }
        logger.notice(
            "the external RingService takes events again",
            metadata: ["seconds": "\((now - outage.began).components.seconds)", "passedOver": "\(passed.map(String.init) ?? "unknown")"])
        wake.signal()
    }
}
