import DriveModel

/// Carries out what `UploadPlanner` decides: reads chunks in order, sends several at once, waits, completes.
struct ChunkSender: Sendable {
    let client: DriveClient
    let reader: ChunkReader
    let tracker: ProgressTracker
    let options: UploadOptions

    private var surroundings: ClientSurroundings { client.surroundings }

    /// Creates the upload and sends all of it.
    func start(slot: inout UploadRun.Slot) async throws(DriveClientError) -> CloudFile {
        let (request, key) = (slot.journal.request, slot.journal.idempotencyKey)
        let reply = try await retrying { () async throws(DriveClientError) in
            try await client.createUpload(request, idempotencyKey: key)
        }
        if reply.fileExists, let file = reply.file {
            tracker.corrected(storedBytes: file.size)
            return file
        }
        guard let taskId = reply.taskId, let chunkSize = reply.chunkSize, chunkSize > 0 else {
            throw .invalidReply("create answered without taskId and chunkSize")
        }
        slot.journal.taskId = taskId
        slot.journal.chunkSize = chunkSize
        slot.journal.session = UploadSession(sessionToken: reply.sessionToken, sessionExpiresAt: reply.sessionExpiresAt)
        try await slot.save()
        // The same key may have answered with an upload of which an earlier process sent a part; then chunks are
        // answered as stored already, which is as good.
        return try await transfer(ChunkPlan(fileSize: reader.identity.size, chunkSize: chunkSize), taskId, stored: [], slot: &slot)
    }

    /// Asks what the server has, and sends the rest.
    /// - Throws: `.uploadEnded` where a new upload is needed; `.cancelledOnServer`, `.pausedOnServer`.
    func resume(taskId: String, slot: inout UploadRun.Slot) async throws(DriveClientError) -> CloudFile {
        let session = slot.journal.session.sessionToken
        let information: ResumeInformation
        do {
            information = try await retrying { () async throws(DriveClientError) in
                try await refresh(taskId: taskId, session: session)
            }
        } catch {
            let meaning = ReplyMeaning(of: error)
            // Forgotten since it was left: ended uploads are not kept for ever.
            if case .unknown(let reason) = meaning { throw .uploadEnded(taskId: taskId, reason: reason) }
            throw DriveClientError(endOf: taskId, by: meaning) ?? error
        }
        let plan = ChunkPlan(fileSize: reader.identity.size, chunkSize: information.chunkSize)
        if let end = DriveClientError(endOf: taskId, as: information.status) { throw end }
        guard information.fileSize == reader.identity.size else {
            throw .uploadEnded(taskId: taskId, reason: "it has another size on the server.")
        }
        slot.journal.session = UploadSession(
            sessionToken: information.sessionToken ?? session, sessionExpiresAt: information.sessionExpiresAt)
        try await slot.save()
        let stored = information.status == .completed ? Array(0..<plan.count) : information.uploadedChunks
        tracker.resumed(bytes: plan.bytes(of: stored))
        return try await transfer(plan, taskId, stored: stored, slot: &slot)
    }

    /// The upload's state, by the account's token or, where that is refused or missing, by the session's.
    private func refresh(taskId: String, session: String?) async throws(DriveClientError) -> ResumeInformation {
        do {
            return try await client.resumeInformation(taskId: taskId)
        } catch {
            guard let session, error.serverReply?.status == 401 else { throw error }
            return try await client.resumeInformation(taskId: taskId, session: session)
        }
    }

    private func retrying<Value: Sendable>(
        _ attempt: () async throws(DriveClientError) -> Value
    ) async throws(DriveClientError) -> Value {
        let value = try await client.retrying(options.retry, onRetry: { tracker.status(.retrying($0, in: $1)) }, attempt)
        tracker.status(.uploading)
        return value
    }

    // MARK: The loop

    private func transfer(
        _ plan: ChunkPlan, _ taskId: String, stored: [Int], slot: inout UploadRun.Slot
    ) async throws(DriveClientError) -> CloudFile {
        let planner = UploadPlanner(plan: plan, taskId: taskId, stored: stored, parallel: options.parallel, policy: options.retry)
        let initial = slot
        let outcome = await withTaskGroup(of: UploadPlanner.Event.self) { group in
            var loop = Loop(sender: self, planner: planner, taskId: taskId, slot: initial)
            // Chunks that an earlier process sent are hashed beside the sending, not after it.
            if !stored.isEmpty, initial.journal.request.hash == nil { loop.follow(&group) }
            if options.listens { loop.listen(after: nil, &group) }
            let result: Result<CloudFile, DriveClientError>
            do throws(DriveClientError) { result = .success(try await loop.run(&group)) } catch { result = .failure(error) }
            group.cancelAll()
            return (result, loop.slot)
        }
        slot = outcome.1
        return try outcome.0.get()
    }
}

extension ChunkSender {
    /// The state of one run of the loop. Every child task ends with an event for the planner.
    struct Loop {
        typealias Group = TaskGroup<UploadPlanner.Event>

        let sender: ChunkSender
        var planner: UploadPlanner
        let taskId: String
        var slot: UploadRun.Slot
        private var alarm: Duration?

        init(sender: ChunkSender, planner: UploadPlanner, taskId: String, slot: UploadRun.Slot) {
            self.sender = sender
            self.planner = planner
            self.taskId = taskId
            self.slot = slot
        }

        private var now: Duration { sender.surroundings.monotonic() }
        private var session: String? { slot.journal.session.sessionToken }

        /// Hashes the file from its start, whatever is sent meanwhile.
        func follow(_ group: inout Group) {
            let reader = sender.reader
            group.addTask {
                // A failure here meets the end of the upload again, which tells it.
                _ = try? await reader.finishHash()
                return .woke
            }
        }

        /// Hears of it where somebody pauses or cancels the upload. Where the server has no events, the next request tells.
        func listen(after sequence: Int64?, _ group: inout Group) {
            let listener = UploadListener(client: sender.client, taskId: taskId)
            group.addTask { await listener.next(after: sequence).map { .changedElsewhere($0) } ?? .woke }
        }

        mutating func run(_ group: inout Group) async throws(DriveClientError) -> CloudFile {
            while true {
                if Task.isCancelled { throw .cancelled }
                switch planner.next(now: now) {
                case .send(let index, let replace): try await send(index, replace: replace, &group)
                case .complete: try await complete(&group)
                case .refresh: refresh(&group)
                case .compare(let checksums):
                    planner.handle(
                        .compared(differing: try await sender.reader.differing(from: checksums, of: planner.plan)), now: now, jitter: 0)
                case .wait(let until):
                    setAlarm(until, &group)
                    await takeEvent(&group)
                case .idle: await takeEvent(&group)
                case .finished(let file): return file
                case .failed(let error): throw error
                }
            }
        }

        /// Reading happens here, one chunk after the other, so that the hash sees the bytes in order and no more than
        /// `parallel` chunks are in memory; sending happens beside it.
        private mutating func send(_ index: Int, replace: Bool, _ group: inout Group) async throws(DriveClientError) {
            await extendSessionIfNeeded()
            let chunk = try await sender.reader.read(index, of: planner.plan)
            let (sender, taskId, session) = (sender, taskId, session)
            group.addTask {
                do throws(DriveClientError) {
                    _ = try await sender.client.sendChunk(chunk, taskId: taskId, replace: replace, session: session) {
                        sender.tracker.sent($0, ofChunk: index)
                    }
                    return .chunkStored(index)
                } catch {
                    return .chunkFailed(index, error)
                }
            }
        }

        private func complete(_ group: inout Group) async throws(DriveClientError) {
            // Before anything is published: bytes of two versions of a file make neither.
            guard await sender.reader.isUnchanged() else {
                try? await sender.client.cancelUpload(taskId: taskId, session: session)
                throw .fileChanged(path: sender.reader.path)
            }
            let (client, taskId, session) = (sender.client, taskId, session)
            group.addTask {
                do throws(DriveClientError) { return .completed(try await client.completeUpload(taskId: taskId, session: session)) } catch {
                    return .completeFailed(error)
                }
            }
        }

        private func refresh(_ group: inout Group) {
            let (sender, taskId, session) = (sender, taskId, session)
            group.addTask {
                do throws(DriveClientError) { return .refreshed(try await sender.refresh(taskId: taskId, session: session)) } catch {
                    return .refreshFailed(error)
                }
            }
        }

        private mutating func setAlarm(_ time: Duration, _ group: inout Group) {
            if let alarm, alarm <= time, alarm > now { return }
            alarm = time
            let (surroundings, delay) = (sender.surroundings, time - now)
            group.addTask {
                // Cancelled: the loop ends before it sees the event.
                try? await surroundings.sleep(delay)
                return .woke
            }
        }

        private mutating func takeEvent(_ group: inout Group) async {
            guard let event = await group.next() else { return }
            planner.handle(event, now: now, jitter: sender.surroundings.jitter())
            let tracker = sender.tracker
            switch event {
            case .chunkStored(let index): tracker.settled(chunk: index, size: planner.plan.size(of: index))
            case .chunkFailed(let index, let error):
                let stored = ReplyMeaning(of: error) == .chunkStored
                tracker.settled(chunk: index, size: stored ? planner.plan.size(of: index) : nil)
                showWait(error)
            case .completed(.verifying(let reply, _)): tracker.status(.verifying(percent: reply.progress))
            case .completeFailed(let error), .refreshFailed(let error): showWait(error)
            case .refreshed(let information):
                if let token = information.sessionToken {
                    slot.journal.session = UploadSession(sessionToken: token, sessionExpiresAt: information.sessionExpiresAt)
                    // The journal only spares a request later.
                    try? await slot.save()
                }
                tracker.corrected(storedBytes: planner.plan.bytes(of: information.uploadedChunks))
            case .changedElsewhere(let news):
                // A pause may be over by now; nothing follows an end.
                if news.status?.isTerminal != true { listen(after: news.sequence, &group) }
            case .completed(.file), .compared, .woke: break
            }
        }

        private func showWait(_ error: DriveClientError) {
            guard ReplyMeaning(of: error).repetition != nil, let delay = planner.delay(now: now) else { return }
            sender.tracker.status(.retrying(error, in: delay))
        }

        /// An account's token may run out before a long upload ends; the session is extended a while before it does.
        private mutating func extendSessionIfNeeded() async {
            guard let expiry = slot.journal.session.sessionExpiresAt, slot.journal.session.sessionToken != nil,
                expiry - sender.surroundings.system.now() < .seconds(300)
            else { return }
            // Asked once: what fails here shows as 401, which refreshes the session.
            slot.journal.session.sessionExpiresAt = nil
            guard let extended = try? await sender.client.extendSession(taskId: taskId, session: session) else { return }
            slot.journal.session.sessionToken = extended.sessionToken ?? session
            slot.journal.session.sessionExpiresAt = extended.sessionExpiresAt
            try? await slot.save()
        }
    }
}

extension ChunkPlan {
    /// Bytes of these chunks together.
    func bytes(of indexes: [Int]) -> Int64 {
        indexes.reduce(0) { $0 + (size(of: $1) ?? 0) }
    }
}
