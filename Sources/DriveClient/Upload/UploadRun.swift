import DriveCrypto
import DriveModel
import Foundation
import NIOCore

/// One attempt of a whole upload: from the file to the server's `CloudFile`, going on where a journal says it stopped.
struct UploadRun: Sendable {
    let client: DriveClient
    let journals: JournalStore
    let path: String
    let context: UploadContext
    let options: UploadOptions
    let report: @Sendable (UploadUpdate) -> Void

    private var surroundings: ClientSurroundings { client.surroundings }

    /// - Returns: the file, whose SHA-256 was compared with the one read here.
    func run() async throws(DriveClientError) -> CloudFile {
        let reader = try await ChunkReader.open(path: path)
        let tracker = ProgressTracker(total: reader.identity.size, now: surroundings.monotonic, report: report)
        let request = try makeRequest(size: reader.identity.size)
        let name = UploadJournal.name(server: client.server.base, path: path, request: request)
        guard context.isResumable else {
            return try await transfer(reader, tracker, Slot(journal: newJournal(request, reader)))
        }
        try await journals.lock(name, for: path)
        let result: Result<CloudFile, DriveClientError>
        do {
            let slot = try await prepareSlot(name, request, reader)
            result = .success(try await transfer(reader, tracker, slot))
        } catch {
            result = .failure(error)
        }
        await journals.unlock(name)
        return try result.get()
    }

    private func makeRequest(size: Int64) throws(DriveClientError) -> CreateUploadRequest {
        let wish = context.fileName ?? path.split(separator: "/").last.map(String.init) ?? ""
        let fileName: FileName
        do { fileName = try FileName(wish) } catch { throw .invalidArgument("\(path): \(error.message)") }
        return CreateUploadRequest(
            fileName: fileName.value, fileSize: size, contentType: context.contentType ?? MediaType.guess(fileName: fileName.value),
            poolId: context.poolId, bundleId: context.bundleId, chunkSize: options.chunkSize, expiredAt: context.expiredAt)
    }

    private func newJournal(_ request: CreateUploadRequest, _ reader: ChunkReader) -> UploadJournal {
        UploadJournal(
            server: client.server.base, path: path, file: reader.identity, request: request,
            idempotencyKey: surroundings.system.newIdentifier(), startedAt: surroundings.system.now())
    }

    /// The journal to go on with: the stored one where the file is still the same; else the old upload is cancelled.
    private func prepareSlot(
        _ name: String, _ request: CreateUploadRequest, _ reader: ChunkReader
    ) async throws(DriveClientError) -> Slot {
        if let stored = await journals.load(name) {
            if stored.file == reader.identity {
                if let difference = stored.difference(from: request, now: surroundings.system.now()) {
                    // Nothing is known of it on the server: this request is the one that counts.
                    guard let taskId = stored.taskId else {
                        return Slot(journal: newJournal(request, reader), store: journals, name: name)
                    }
                    throw .invalidArgument(
                        "\(path) is on its way already with \(difference) (upload \(taskId)). Go on with the same options, or give that upload up first: drive uploads cancel \(taskId)"
                    )
                }
                return Slot(journal: stored, store: journals, name: name)
            }
            if let taskId = stored.taskId {
                // Best effort: what is not cancelled expires.
                try? await client.cancelUpload(taskId: taskId, session: stored.session.sessionToken, retrying: .brief)
            }
            await journals.remove(name)
        }
        return Slot(journal: newJournal(request, reader), store: journals, name: name)
    }

    /// Starts or continues, and starts anew once where the upload came to its end though nobody wished it. A cancel is a wish.
    private func transfer(_ reader: ChunkReader, _ tracker: ProgressTracker, _ first: Slot) async throws(DriveClientError) -> CloudFile {
        var slot = first
        if options.verifyBeforeUpload, slot.journal.taskId == nil, slot.journal.request.hash == nil {
            tracker.status(.hashing)
            slot.journal.request.hash = try await reader.finishHash { tracker.hashed(bytes: $0) }
        }
        tracker.status(.uploading)
        var attempt = 0
        while true {
            attempt += 1
            do {
                let file = try await send(reader, tracker, &slot)
                await slot.discard()
                return file
            } catch {
                switch error {
                case .contentMismatch: await slot.discard()
                case .cancelledOnServer:
                    // There is nothing to go on with, nor to give back.
                    await slot.discard()
                    throw error
                case .fileChanged:
                    await slot.discard()
                    // Nobody has these bytes any more; the quota they hold is free again.
                    await giveBack(slot.journal)
                    throw error
                // Refused before anything began: the next attempt, maybe with other options, begins anew.
                case .server where slot.journal.taskId == nil && error.refusesRequest && !error.isReusedKey: await slot.discard()
                case .uploadEnded where attempt == 1, .server where attempt == 1 && error.isReusedKey:
                    slot.journal = newJournal(slot.journal.request, reader)
                    tracker.corrected(storedBytes: 0)
                    continue
                default: break
                }
                guard !context.isResumable else { throw error }
                await giveBack(slot.journal)
                guard case .pausedOnServer(let taskId) = error else { throw error }
                throw .uploadEnded(
                    taskId: taskId, reason: "it was paused elsewhere; as it cannot go on later, it was cancelled. Upload it again.")
            }
        }
    }

    /// Cancels on the server what nobody can go on with; in a task of its own, as this one may be cancelled already.
    private func giveBack(_ journal: UploadJournal) async {
        guard let taskId = journal.taskId else { return }
        let client = client
        // What is not cancelled expires.
        await Task { try? await client.cancelUpload(taskId: taskId, session: journal.session.sessionToken) }.value
    }

    private func send(_ reader: ChunkReader, _ tracker: ProgressTracker, _ slot: inout Slot) async throws(DriveClientError) -> CloudFile {
        let size = reader.identity.size
        if slot.journal.taskId == nil {
            try await slot.save()
            if size <= min(options.directLimit, options.chunkSize ?? .max) {
                return try await sendDirect(reader, tracker, slot.journal)
            }
        }
        let sender = ChunkSender(client: client, reader: reader, tracker: tracker, options: options)
        let file: CloudFile
        if let taskId = slot.journal.taskId {
            file = try await sender.resume(taskId: taskId, slot: &slot)
        } else {
            file = try await sender.start(slot: &slot)
        }
        return try await verify(file, reader, slot.journal.request.hash)
    }

    /// A small file by one request; the idempotency key makes a repetition harmless.
    private func sendDirect(
        _ reader: ChunkReader, _ tracker: ProgressTracker, _ journal: UploadJournal
    ) async throws(DriveClientError) -> CloudFile {
        let size = reader.identity.size
        let chunk = try await reader.read(0, of: ChunkPlan(fileSize: size, chunkSize: max(1, size)))
        let file: CloudFile
        do {
            file = try await client.retrying(options.retry, onRetry: { tracker.status(.retrying($0, in: $1)) }) {
                () async throws(DriveClientError) in
                try await client.uploadDirect(
                    chunk.bytes, crc32c: chunk.crc32c, request: journal.request, idempotencyKey: journal.idempotencyKey)
            }
        } catch {
            guard let taskId = error.taskId, let end = DriveClientError(endOf: taskId, by: ReplyMeaning(of: error)) else { throw error }
            throw end
        }
        tracker.settled(chunk: 0, size: size)
        return try await verify(file, reader, journal.request.hash)
    }

    /// Compares the server's hash with the file's own, and the file with what it was at the start.
    private func verify(_ file: CloudFile, _ reader: ChunkReader, _ known: String?) async throws(DriveClientError) -> CloudFile {
        let own: String
        if let known { own = known } else { own = try await reader.finishHash() }
        guard file.hash == own, file.size == reader.identity.size else {
            throw .contentMismatch(fileId: file.id, expected: own, actual: file.hash)
        }
        return file
    }
}

extension UploadRun {
    /// A journal and where it is kept; without a store it lives in memory alone.
    struct Slot: Sendable {
        var journal: UploadJournal
        var store: JournalStore?
        var name = ""

        func save() async throws(DriveClientError) { try await store?.save(journal, as: name) }
        func discard() async { await store?.remove(name) }
    }
}

extension DriveClientError {
    var isReusedKey: Bool { serverReply?.code == DriveError.Code.idempotencyConflict.name }

    /// The server read the request and does not want it; another sign-in would not help.
    fileprivate var refusesRequest: Bool { !isRetryable && serverReply.map { $0.status != 401 } ?? false }
}
