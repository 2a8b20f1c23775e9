import DriveModel
import DriveStorage
import Foundation
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

@Suite struct LocalPoolTests {
    /// As Drive gives names out.
    static let name = "abcdefghijklmnopqrstuv"

    @Test func stagingFilesLiveAndGo() async throws {
        try await StorageFixture.with { folder, io in
            let pool = try StorageFixture.pool(folder + "/pool", io: io)
            #expect(try await pool.openStaging(Self.name) == nil)
            let file = try await pool.createStaging(Self.name, size: 100_000, keepSize: false)
            #expect(try file.size() == 100_000)
            try file.write([1, 2, 3], at: 99_997)
            #expect(try await pool.openStaging(Self.name)?.readAll().suffix(3) == [1, 2, 3])
            #expect(try await pool.listStaging() == [Self.name])
            await #expect(throws: StorageError("open", EEXIST)) { try await pool.createStaging(Self.name, size: 1, keepSize: false) }
            try await pool.removeStaging(Self.name)
            try await pool.removeStaging(Self.name)
            #expect(try await pool.listStaging() == [])
            #expect(try await pool.list() == [])
        }
    }

    /// Sequential faces keep the size, so that the file's size is their recovered offset; the room is there all the same.
    @Test func preallocationReservesRoomBeforeTheFirstByte() async throws {
        try await StorageFixture.with { folder, io in
            let pool = try StorageFixture.pool(folder + "/pool", io: io)
            let kept = try await pool.createStaging("kept", size: 4 << 20, keepSize: true)
            #expect(try kept.size() == 0)
            let grown = try await pool.createStaging("grown", size: 4 << 20, keepSize: false)
            #expect(try grown.size() == 4 << 20)
            var status = stat()
            #expect(stat(folder + "/pool/staging/grown", &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
    }

    @Test(arguments: [("ENOSPC", ENOSPC, true), ("EDQUOT", EDQUOT, true), ("EIO", EIO, false)])
    func aFullDiskShowsAtCreateAndLeavesNothing(name: String, errno: Int32, isFull: Bool) async throws {
        try await StorageFixture.with { folder, io in
            let pool = try StorageFixture.pool(folder + "/pool", io: io, faults: "staging.preallocate:errno=\(name)@1")
            let error = await #expect(throws: StorageError.self) { try await pool.createStaging(Self.name, size: 10, keepSize: false) }
            #expect(error == StorageError("fallocate", errno))
            #expect(error?.isFull == isFull)
            #expect(error?.asDriveError.code == (isFull ? .storageFull : .storageFailed))
            #expect(try await pool.listStaging() == [])
            // The same call works once there is room again.
            _ = try await pool.createStaging(Self.name, size: 10, keepSize: false)
        }
    }

    @Test(arguments: [("errno=ENOSPC", ENOSPC), ("errno=EIO", EIO), ("short", ENOSPC)])
    func aFailingWriteIsAnError(action: String, errno: Int32) async throws {
        try await StorageFixture.with { folder, io in
            let pool = try StorageFixture.pool(folder + "/pool", io: io, faults: "chunk.write.before:\(action)@2")
            let file = try await pool.createStaging(Self.name, size: 8, keepSize: false)
            try file.write([1, 2, 3, 4])
            #expect(throws: StorageError("pwrite", errno)) { try file.write([9, 9, 9, 9], at: 4) }
            // A short write left half of its bytes, and nothing before them changed.
            #expect(try file.readAll() == (action == "short" ? [1, 2, 3, 4, 9, 9, 0, 0] : [1, 2, 3, 4, 0, 0, 0, 0]))
            try file.write([5, 6, 7, 8], at: 4)
            #expect(try file.readAll() == [1, 2, 3, 4, 5, 6, 7, 8])
        }
    }

    @Test func aFailingFlushIsAnError() async throws {
        try await StorageFixture.with { folder, io in
            let pool = try StorageFixture.pool(folder + "/pool", io: io, faults: "file.fsync.before:errno=EIO@1")
            let file = try await pool.createStaging(Self.name, size: 8, keepSize: false)
            #expect(throws: StorageError("fsync", EIO)) { try file.sync() }
        }
    }

    @Test func aFolderHasOneOwner() async throws {
        try await StorageFixture.with { folder, io in
            let owner = try StorageFixture.pool(folder + "/pool", io: io)
            #expect(throws: StorageError("flock", EWOULDBLOCK)) { try StorageFixture.pool(folder + "/pool", io: io) }
            // A look beside the owner is allowed.
            let beside = try StorageFixture.pool(folder + "/pool", io: io, exclusive: false)
            #expect(try await beside.list() == [])
            _ = try await owner.newBlobPath()
        }
    }

    @Test func theFolderIsFreeAfterItsOwner() async throws {
        try await StorageFixture.with { folder, io in
            do { _ = try StorageFixture.pool(folder + "/pool", io: io) }
            _ = try StorageFixture.pool(folder + "/pool", io: io)
        }
    }

    /// Publishing is a rename, which never crosses file systems; so staging elsewhere is refused at the start.
    @Test func refusesStagingOnAnotherFileSystem() async throws {
        try await StorageFixture.with { folder, io in
            let other = "/dev/shm/drive-storage-\(UUID().uuidString)"
            guard let here = try? FileSystem.device(of: folder), let there = try? FileSystem.device(of: "/dev/shm"), here != there else {
                return
            }
            defer { try? FileManager.default.removeItem(atPath: other) }
            #expect(throws: StorageError("rename", EXDEV)) { try StorageFixture.pool(folder + "/pool", io: io, staging: other) }
            let near = try StorageFixture.pool(folder + "/near", io: io, staging: folder + "/staging")
            _ = try await near.createStaging(Self.name, size: 1, keepSize: false)
            #expect(FileManager.default.fileExists(atPath: folder + "/staging/" + Self.name))
        }
    }

    @Test func publishingMovesTheStagingFile() async throws {
        try await StorageFixture.with { folder, io in
            let pool = try StorageFixture.pool(folder + "/pool", io: io)
            try await pool.createStaging(Self.name, size: 3, keepSize: false).write([1, 2, 3])
            let path = try await pool.newBlobPath()
            try await pool.publish(staging: Self.name, as: path)
            #expect(try await pool.listStaging() == [])
            #expect(try await pool.open(path).readAll() == [1, 2, 3])
            // What cannot be committed goes back to where the next attempt looks for it.
            #expect(try await pool.unpublish(path, to: Self.name) == true)
            #expect(try await pool.unpublish(path, to: Self.name) == false)
            #expect(try await pool.list() == [])
            #expect(try await pool.openStaging(Self.name)?.readAll() == [1, 2, 3])
        }
    }

    @Test func publishesIntoAFolderThatWasTakenAway() async throws {
        try await StorageFixture.with { folder, io in
            let pool = try StorageFixture.pool(folder + "/pool", io: io)
            try await pool.createStaging(Self.name, size: 1, keepSize: false).write([1])
            let path = try await pool.newBlobPath()
            try FileManager.default.removeItem(atPath: folder + "/pool/blobs/" + path.split(separator: "/")[1])
            try await pool.publish(staging: Self.name, as: path)
            #expect(try await pool.open(path).readAll() == [1])
        }
    }

    /// rename, then the folder's flush: a fault before the one leaves staging, a fault before the other the blob.
    @Test func renamesBeforeItFlushesTheFolder() async throws {
        try await StorageFixture.with { folder, io in
            let early = try StorageFixture.pool(folder + "/early", io: io, faults: "blob.rename.before:errno=EIO@1")
            _ = try await early.createStaging(Self.name, size: 1, keepSize: false)
            let first = try await early.newBlobPath()
            await #expect(throws: StorageError("rename", EIO)) { try await early.publish(staging: Self.name, as: first) }
            #expect(try await early.listStaging() == [Self.name])
            // The first flush is that of the new blob folder's entry.
            let late = try StorageFixture.pool(folder + "/late", io: io, faults: "directory.fsync:errno=EIO@3..4")
            _ = try await late.createStaging(Self.name, size: 1, keepSize: false)
            let second = try await late.newBlobPath()
            await #expect(throws: StorageError("fsync", EIO)) { try await late.publish(staging: Self.name, as: second) }
            #expect(try await late.listStaging() == [])
            #expect(try await late.list() == [second])
        }
    }

    @Test func tellsTheFreeRoom() async throws {
        try await StorageFixture.with { folder, io in
            let free = try await StorageFixture.pool(folder + "/pool", io: io).freeBytes()
            #expect(free > 0)
        }
    }
}
