import DriveModel
import DriveStorage
import Foundation
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

@Suite struct DirectorySyncerTests {
    /// The first flush is slow; all who come meanwhile share the second. That a third did not happen shows by its fault.
    @Test func callersShareAFlush() async throws {
        try await StorageFixture.with { folder, io in
            let faults = try Faults(specification: "directory.fsync.before:delay=300ms@1;directory.fsync.before:errno=EIO@3..99")
            let syncer = DirectorySyncer(pool: io, faults: faults)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<64 { group.addTask { try await syncer.sync(folder) } }
                try await group.waitForAll()
            }
            // At most two flushes served 64 callers; the third one fails, here or already above.
            await #expect(throws: StorageError("fsync", EIO)) {
                for _ in 0..<2 { try await syncer.sync(folder) }
            }
        }
    }

    @Test func aFailedFlushFailsItsCallersAlone() async throws {
        try await StorageFixture.with { folder, io in
            let syncer = DirectorySyncer(pool: io, faults: try Faults(specification: "directory.fsync.before:errno=EIO@1"))
            await #expect(throws: StorageError("fsync", EIO)) { try await syncer.sync(folder) }
            try await syncer.sync(folder)
        }
    }

    @Test func foldersDoNotWaitForEachOther() async throws {
        try await StorageFixture.with { folder, io in
            let syncer = DirectorySyncer(pool: io, faults: .none)
            await #expect(throws: StorageError("open", ENOENT)) { try await syncer.sync(folder + "/missing") }
            try await syncer.sync(folder)
        }
    }

    /// Every call flushes anew: an entry made after a flush is not covered by it.
    @Test func callsOneAfterAnotherFlushEachTime() async throws {
        try await StorageFixture.with { folder, io in
            let syncer = DirectorySyncer(pool: io, faults: try Faults(specification: "directory.fsync.before:errno=EIO@5"))
            for _ in 0..<4 { try await syncer.sync(folder) }
            await #expect(throws: StorageError("fsync", EIO)) { try await syncer.sync(folder) }
        }
    }
}
