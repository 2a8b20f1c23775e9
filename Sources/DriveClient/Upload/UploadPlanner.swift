import DriveModel

/// Decides what an upload does next: which chunk, when again, what a reply means. A pure value; time and chance are given.
///
/// The driver asks `next(now:)` for a step, carries it out, and tells the outcome by `handle`. Several chunks are under way
/// at once; everything else happens alone.
struct UploadPlanner {
    enum Step: Hashable {
        /// Send a chunk; with `replace` the server's one is damaged and gives way.
        case send(chunk: Int, replace: Bool)
        case complete
        /// Ask the server where the upload stands, with the account's token if there is one.
        case refresh
        /// Compare the server's CRC-32C of each chunk with the file's.
        case compare([Int: UInt32])
        /// Nothing before this time, unless an event comes first.
        case wait(until: Duration)
        /// Nothing until an event comes.
        case idle
        case finished(CloudFile)
        case failed(DriveClientError)
    }

    enum Event: Hashable {
        case chunkStored(Int)
        case chunkFailed(Int, DriveClientError)
        case completed(CompleteReply)
        case completeFailed(DriveClientError)
        case refreshed(ResumeInformation)
        case refreshFailed(DriveClientError)
        /// The chunks whose stored bytes are not the file's.
        case compared(differing: [Int])
        /// The server told that somebody changed the upload.
        case changedElsewhere(UploadNews)
        /// A wait is over.
        case woke
    }

    private enum Phase {
        case sending, completing, refreshing
        case comparing([Int: UInt32])
        case over(Step)
    }

    /// How often a damaged chunk is sent again, a session is renewed, gaps are filled, a wrong hash is mended, in a row.
    private static let patienceOfRounds = 5

    let plan: ChunkPlan
    let taskId: String
    let parallel: Int
    private var phase = Phase.sending
    /// Whether the step of a phase other than sending is under way.
    private var asked = false
    /// Chunks never tried, descending, so that the last is the next.
    private var fresh: [Int]
    /// Chunks to send again, each not before a time.
    private var again: [Int: Duration] = [:]
    private var replacing: Set<Int> = []
    /// Chunks under way, each with the number of failures in a row that were known when it began.
    private var inFlight: [Int: Int] = [:]
    private var backoff: Backoff
    private var notBefore: Duration = .zero
    private var damaged: [Int: Int] = [:]
    private var rounds = (refresh: 0, gaps: 0, mending: 0)
    /// Whether the upload changed since the server was last asked how it stands.
    private var hasNews = false
    /// Whether the server told that somebody cancelled it.
    private var isCancelled = false
    private var verification: (progress: Double, since: Duration)?
    /// Chunks that need not be sent any more.
    private(set) var storedCount: Int

    init(plan: ChunkPlan, taskId: String, stored: some Sequence<Int>, parallel: Int, policy: RetryPolicy) {
        self.plan = plan
        self.taskId = taskId
        self.parallel = max(1, parallel)
        let stored = Set(stored)
        fresh = (0..<plan.count).reversed().filter { !stored.contains($0) }
        storedCount = plan.count - fresh.count
        backoff = Backoff(policy)
    }

    // MARK: What comes next

    mutating func next(now: Duration) -> Step {
        if case .over(let step) = phase { return step }
        if now < notBefore { return .wait(until: notBefore) }
        switch phase {
        case .sending: return nextChunk(now: now)
        case .completing: return ask(.complete)
        case .refreshing: return ask(.refresh)
        case .comparing(let checksums): return ask(.compare(checksums))
        case .over(let step): return step
        }
    }

    /// Whether nothing that comes changes the outcome any more.
    private var isOver: Bool { if case .over = phase { true } else { false } }

    /// How long everything waits after a failure, if it does.
    func delay(now: Duration) -> Duration? {
        if isOver { return nil }
        return notBefore > now ? notBefore - now : nil
    }

    private mutating func ask(_ step: Step) -> Step {
        if asked { return .idle }
        asked = true
        return step
    }

    private mutating func nextChunk(now: Duration) -> Step {
        if fresh.isEmpty, again.isEmpty, inFlight.isEmpty {
            enter(.completing)
            return ask(.complete)
        }
        guard inFlight.count < parallel else { return .idle }
        let due = again.filter { $0.value <= now }.keys.min()
        if let index = due ?? fresh.last {
            if again.removeValue(forKey: index) == nil { fresh.removeLast() }
            inFlight[index] = backoff.failures
            return .send(chunk: index, replace: replacing.contains(index))
        }
        return again.values.min().map { .wait(until: $0) } ?? .idle
    }

    private mutating func enter(_ phase: Phase) {
        if isOver { return }
        self.phase = phase
        asked = false
    }

    private mutating func fail(_ error: DriveClientError) {
        enter(.over(.failed(error)))
    }

    // MARK: What came of it

    /// - Parameter jitter: in 0..<1, used where a retry is to be timed.
    mutating func handle(_ event: Event, now: Duration, jitter: Double) {
        switch event {
        case .chunkStored(let index): stored(index)
        case .chunkFailed(let index, let error): chunkFailed(index, error, now, jitter)
        case .completed(.file(let file)): enter(.over(.finished(file)))
        case .completed(.verifying(let reply, let retryAfter)): verifying(reply, retryAfter, now)
        case .completeFailed(let error): completeFailed(error, now, jitter)
        case .refreshed(let information): refreshed(information)
        case .refreshFailed(let error): refreshFailed(error, now, jitter)
        case .compared(let differing): compared(differing)
        case .changedElsewhere(let news):
            hasNews = true
            if news.status == .cancelled { isCancelled = true }
        case .woke: break
        }
        if hasNews { askForNews(now) }
    }

    /// Asks how the upload stands, at once: the server is there, whatever it could not do before. An answer that is on its way already
    /// is awaited first, as that to a completion may be the file, and asked again then, as it may be older than the news.
    private mutating func askForNews(_ now: Duration) {
        if case .comparing = phase { return }
        guard !asked, !isOver else { return }
        hasNews = false
        notBefore = min(notBefore, now)
        enter(.refreshing)
    }

    private mutating func stored(_ index: Int) {
        inFlight[index] = nil
        replacing.remove(index)
        storedCount += 1
        rounds.refresh = 0
        backoff.succeeded()
    }

    private mutating func chunkFailed(_ index: Int, _ error: DriveClientError, _ now: Duration, _ jitter: Double) {
        let knownFailures = inFlight.removeValue(forKey: index) ?? 0
        again[index] = now
        switch ReplyMeaning(of: error) {
        case .chunkStored:
            again[index] = nil
            stored(index)
        case .chunkBusy(let delay): again[index] = now + delay
        case .resend:
            damaged[index, default: 0] += 1
            if damaged[index, default: 0] > Self.patienceOfRounds { fail(error) }
        case .retry(let after):
            // Chunks that were under way together fail together: that is one failure.
            if after != nil || knownFailures == backoff.failures { wait(after: error, retryAfter: after, now, jitter) }
        case .lost:
            // The server may have stored the chunk, or refused it and closed before the answer was read: after the wait it is
            // asked for the upload's state, which costs less than sending the chunk to learn it.
            if knownFailures == backoff.failures { wait(after: error, retryAfter: nil, now, jitter) }
            refreshUnlessUnderWay()
        default: interrupted(by: error)
        }
    }

    private mutating func completeFailed(_ error: DriveClientError, _ now: Duration, _ jitter: Double) {
        asked = false
        switch ReplyMeaning(of: error) {
        case .retry(let after): wait(after: error, retryAfter: after, now, jitter)
        case .lost: wait(after: error, retryAfter: nil, now, jitter)
        case .missing(let indexes): fillGaps(indexes, error)
        case .hashMismatch(let checksums):
            rounds.mending += 1
            if checksums.isEmpty || rounds.mending > 2 { fail(error) } else { enter(.comparing(checksums)) }
        default: interrupted(by: error)
        }
    }

    private mutating func refreshFailed(_ error: DriveClientError, _ now: Duration, _ jitter: Double) {
        asked = false
        switch ReplyMeaning(of: error) {
        case .retry(let after): wait(after: error, retryAfter: after, now, jitter)
        case .lost: wait(after: error, retryAfter: nil, now, jitter)
        default: end(by: error)
        }
    }

    /// Replies that concern the whole upload, whichever request they answer.
    private mutating func interrupted(by error: DriveClientError) {
        switch ReplyMeaning(of: error) {
        case .refresh:
            rounds.refresh += 1
            if rounds.refresh > Self.patienceOfRounds * parallel { fail(error) } else { refreshUnlessUnderWay() }
        default: end(by: error)
        }
    }

    /// Fails with what the reply says became of the upload, or with the error itself.
    private mutating func end(by error: DriveClientError) {
        switch ReplyMeaning(of: error) {
        case .unknown where isCancelled: fail(.cancelledOnServer(taskId: taskId))
        case let meaning: fail(DriveClientError(endOf: taskId, by: meaning) ?? error)
        }
    }

    private mutating func refreshUnlessUnderWay() {
        if case .refreshing = phase { return }
        enter(.refreshing)
    }

    private mutating func wait(after error: DriveClientError, retryAfter: Duration?, _ now: Duration, _ jitter: Double) {
        guard let delay = backoff.delay(afterFailureAt: now, retryAfter: retryAfter, jitter: jitter) else {
            return fail(backoff.end(after: error, at: now))
        }
        notBefore = max(notBefore, now + delay)
    }

    private mutating func fillGaps(_ indexes: [Int], _ error: DriveClientError) {
        rounds.gaps += 1
        let gaps = indexes.filter { (0..<plan.count).contains($0) }
        guard !gaps.isEmpty, rounds.gaps <= Self.patienceOfRounds else { return fail(error) }
        for index in gaps { again[index] = .zero }
        storedCount = max(0, storedCount - gaps.count)
        enter(.sending)
    }

    private mutating func verifying(_ reply: VerifyingReply, _ retryAfter: Int?, _ now: Duration) {
        asked = false
        backoff.succeeded()
        if verification.map({ reply.progress > $0.progress }) ?? true { verification = (reply.progress, now) }
        if let verification, now - verification.since > backoff.policy.patience {
            return fail(backoff.gaveUp("Verification stands still at \(Int(reply.progress)) %."))
        }
        notBefore = now + .seconds(max(1, retryAfter ?? 1))
    }

    /// An answer to the question alone is no progress: where each chunk fails between two of them, patience still ends.
    private mutating func refreshed(_ information: ResumeInformation) {
        if information.status == .completed { return enter(.completing) }
        if let end = DriveClientError(endOf: taskId, as: information.status) { return fail(end) }
        let kept = Set(information.uploadedChunks).subtracting(replacing)
        if kept.subtracting(inFlight.keys).count > storedCount { backoff.succeeded() }
        fresh = (0..<plan.count).reversed().filter { !kept.contains($0) && inFlight[$0] == nil }
        again.removeAll()
        storedCount = plan.count - fresh.count - inFlight.count
        enter(.sending)
    }

    private mutating func compared(_ differing: [Int]) {
        guard !differing.isEmpty else {
            return fail(.uploadEnded(taskId: taskId, reason: "the file is not the one whose hash was announced."))
        }
        for index in differing { again[index] = .zero }
        replacing.formUnion(differing)
        storedCount = max(0, storedCount - differing.count)
        enter(.sending)
    }
}
