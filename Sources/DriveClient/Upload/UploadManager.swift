import DriveModel
import Foundation

/// Coordinates the uploads of one program: starts, reports, pauses, continues, cancels and retries them.
///
/// An upload survives the program: `upload(file:context:)` of the same file to the same place goes on where it stopped,
/// also after `kill -9`, as long as the file is the same and the server still has the upload.
public actor UploadManager {
    private struct Entry {
        let handle: UploadHandle
        var update: UploadUpdate
        var task: Task<Void, Never>?
        /// Tells the reports of an abandoned run from those of the present one.
        var generation = 0
        var listeners: [Int: AsyncStream<UploadUpdate>.Continuation] = [:]
    }

    private let client: DriveClient
    public nonisolated let options: UploadOptions
    private let journals: JournalStore
    private var entries: [UploadHandle.ID: Entry] = [:]
    private var nextListener = 0

    /// - Parameter environment: names the user's state folder where the options name none.
    public init(
        client: DriveClient, options: UploadOptions = UploadOptions(),
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) {
        self.client = client
        self.options = options
        journals = JournalStore(directory: options.stateDirectory ?? JournalStore.defaultDirectory(environment: environment))
    }

    /// Starts an upload, or continues the one an earlier call or process left.
    /// - Parameter file: a path; relative ones count from the working folder.
    public func upload(file: String, context: UploadContext = UploadContext()) -> UploadHandle {
        let path = URL(fileURLWithPath: file).standardizedFileURL.path
        let handle = UploadHandle(
            id: client.surroundings.system.newIdentifier(), file: path, context: context, manager: self)
        entries[handle.id] = Entry(
            handle: handle, update: UploadUpdate(status: .waiting, progress: TransferProgress(bytes: 0, total: 0)))
        start(handle.id)
        return handle
    }

    /// All uploads of this manager, finished ones included until `forget`.
    public var handles: [UploadHandle] { entries.values.map(\.handle) }

    /// How an upload stands; nil for an unknown id.
    public func state(of id: UploadHandle.ID) -> UploadUpdate? { entries[id]?.update }

    /// Stops sending and keeps what was acknowledged; ends when nothing is under way any more.
    public func pause(_ id: UploadHandle.ID) async {
        guard let entry = entries[id], !entry.update.status.isFinal else { return }
        await stop(id)
        finish(id, .paused)
    }

    /// Goes on with a paused upload.
    public func resume(_ id: UploadHandle.ID) {
        guard case .paused? = entries[id]?.update.status else { return }
        start(id)
    }

    /// Tries a failed upload again; what was acknowledged is not sent again.
    public func retry(_ id: UploadHandle.ID) {
        guard case .failed? = entries[id]?.update.status else { return }
        start(id)
    }

    /// Gives an upload up, here and on the server.
    public func cancel(_ id: UploadHandle.ID) async {
        guard let entry = entries[id], !entry.update.status.isFinal else { return }
        await stop(id)
        if entry.handle.context.isResumable { await abandon(entry.handle) }
        finish(id, .cancelled)
    }

    /// Cancels an upload on the server by its task id, and forgets its journal here.
    public func cancelTask(_ taskId: String) async throws(DriveClientError) {
        try await client.cancelUpload(taskId: taskId)
        await journals.remove(taskId: taskId)
    }

    /// Drops a finished or paused upload from the manager's list.
    public func forget(_ id: UploadHandle.ID) {
        guard let entry = entries[id], entry.task == nil else { return }
        for listener in entry.listeners.values { listener.finish() }
        entries[id] = nil
    }

    // MARK: Running

    private func start(_ id: UploadHandle.ID) {
        guard var entry = entries[id], entry.task == nil else { return }
        entry.generation += 1
        let generation = entry.generation
        let (reports, sink) = AsyncStream.makeStream(of: UploadUpdate.self, bufferingPolicy: .bufferingNewest(1))
        let run = UploadRun(
            client: client, journals: journals, path: entry.handle.file, context: entry.handle.context, options: options,
            report: { sink.yield($0) })
        entry.update.status = .waiting
        entry.task = Task {
            async let forwarded: Void = forward(reports, id, generation)
            let status: UploadStatus
            do { status = .completed(try await run.run()) } catch {
                status = .failed(DriveClientError(error))
            }
            sink.finish()
            await forwarded
            ended(id, generation, status)
        }
        entries[id] = entry
    }

    private func forward(_ reports: AsyncStream<UploadUpdate>, _ id: UploadHandle.ID, _ generation: Int) async {
        for await update in reports where entries[id]?.generation == generation {
            entries[id]?.update = update
            publish(id)
        }
    }

    private func ended(_ id: UploadHandle.ID, _ generation: Int, _ status: UploadStatus) {
        guard entries[id]?.generation == generation else { return }
        entries[id]?.task = nil
        finish(id, status)
    }

    /// Ends the present run and waits for its end, with its generation over so that its failure is not reported.
    private func stop(_ id: UploadHandle.ID) async {
        guard let task = entries[id]?.task else { return }
        entries[id]?.generation += 1
        task.cancel()
        await task.value
        entries[id]?.task = nil
    }

    private func finish(_ id: UploadHandle.ID, _ status: UploadStatus) {
        entries[id]?.update.status = status
        if case .completed(let file) = status {
            entries[id]?.update.progress.bytes = file.size
            entries[id]?.update.progress.total = file.size
        }
        publish(id)
    }

    private func publish(_ id: UploadHandle.ID) {
        guard let entry = entries[id] else { return }
        for listener in entry.listeners.values {
            listener.yield(entry.update)
            if entry.update.status.isFinal { listener.finish() }
        }
        if entry.update.status.isFinal { entries[id]?.listeners.removeAll() }
    }

    /// Cancels on the server what the file's journal tells of, then forgets it.
    private func abandon(_ handle: UploadHandle) async {
        let context = handle.context
        let fileName = context.fileName ?? URL(fileURLWithPath: handle.file).lastPathComponent
        let request = CreateUploadRequest(
            fileName: (try? FileName(fileName))?.value ?? fileName, fileSize: 0, poolId: context.poolId, bundleId: context.bundleId)
        let name = UploadJournal.name(server: client.server.base, path: handle.file, request: request)
        guard let journal = await journals.load(name) else { return }
        if let taskId = journal.taskId {
            // What is not cancelled expires.
            try? await client.cancelUpload(taskId: taskId, session: journal.session.sessionToken)
        }
        await journals.remove(name)
    }

    // MARK: Listening

    /// Reports of an upload, the latest one first; ends with the final one. Only the newest is kept for a slow reader.
    func updates(of id: UploadHandle.ID) -> AsyncStream<UploadUpdate> {
        let (stream, continuation) = AsyncStream.makeStream(of: UploadUpdate.self, bufferingPolicy: .bufferingNewest(1))
        guard let entry = entries[id] else {
            continuation.finish()
            return stream
        }
        continuation.yield(entry.update)
        guard !entry.update.status.isFinal else {
            continuation.finish()
            return stream
        }
        nextListener += 1
        let listener = nextListener
        entries[id]?.listeners[listener] = continuation
        continuation.onTermination = { [weak self] _ in
            Task { await self?.removeListener(listener, of: id) }
        }
        return stream
    }

    private func removeListener(_ listener: Int, of id: UploadHandle.ID) {
        entries[id]?.listeners[listener] = nil
    }
}

/// One upload of an `UploadManager`.
public struct UploadHandle: Identifiable, Sendable {
    public let id: String
    /// Absolute path.
    public let file: String
    public let context: UploadContext
    let manager: UploadManager

    /// What happens, as it happens; each call is a listener of its own and begins with the present state.
    public func updates() async -> AsyncStream<UploadUpdate> {
        await manager.updates(of: id)
    }

    /// Waits for the end.
    /// - Throws: why it failed; `.cancelled` also where only this waiting task was cancelled (the upload goes on then).
    public func result() async throws(DriveClientError) -> CloudFile {
        for await update in await updates() {
            switch update.status {
            case .completed(let file): return file
            case .failed(let error): throw error
            case .cancelled: throw .cancelled
            case .waiting, .hashing, .uploading, .retrying, .verifying, .paused: continue
            }
        }
        throw .cancelled
    }
}
