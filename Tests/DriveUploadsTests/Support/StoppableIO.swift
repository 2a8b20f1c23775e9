import DriveStorage
import DriveUploads
import EngineTestSupport
import Foundation
import Synchronization

/// One I/O thread that a test can stop: what is handed to it meanwhile waits, and comes in the order it was handed over.
final class StoppableIO: Sendable {
    let pool = IOPool(threads: 1)
    private let release = DispatchSemaphore(value: 0)
    private let stops = Mutex(0)

    /// Runs `body` with a site's services that write and hash chunks by such a thread. Everything else has threads of its own.
    static func with(
        _ site: Site, _ change: (inout UploadSettings) -> Void = { _ in }, _ body: (Instance, StoppableIO) async throws -> Void
    ) async throws {
        let io = StoppableIO()
        let result: Result<Void, any Error>
        do {
            try await body(site.start(writingBy: io.pool, change), io)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        io.end()
        await io.pool.close()
        try result.get()
    }

    /// Returns when the thread stands still. Each call wants a `go`.
    func stop() async {
        let stopped = Gate()
        stops.withLock { $0 += 1 }
        Task {
            try await pool.run { [release] in
                stopped.open()
                release.wait()
            }
        }
        await stopped.wait()
    }

    func go() {
        stops.withLock { $0 -= 1 }
        release.signal()
    }

    /// A test that failed may have left the thread as it was.
    private func end() {
        while stops.withLock({ $0 > 0 }) { go() }
    }
}

extension Site {
    fileprivate func start(writingBy io: IOPool, _ change: (inout UploadSettings) -> Void) async throws -> Instance {
        let usual = try await start(change)
        let clock = clock
        let uploads = UploadService(
            database: database, pools: usual.pools, io: io, settings: usual.uploads.settings, surroundings: clock.surroundings,
            bootId: "boot-1", logger: Engine.logger)
        return Instance(
            uploads: uploads, pools: usual.pools, files: usual.files, bundles: usual.bundles,
            housekeeping: Housekeeping(uploads: uploads, logger: Engine.logger, steady: { clock.steady }), checker: usual.checker)
    }
}
