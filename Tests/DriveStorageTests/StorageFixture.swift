import DriveModel
import DriveStorage
import Foundation
import TestSupport

/// A folder and an I/O pool of a test's own.
enum StorageFixture {
    static func with(_ body: (_ folder: String, _ io: IOPool) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "drive-storage-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let io = IOPool(threads: 4)
        do {
            try await body(folder.path(), io)
        } catch {
            await io.close()
            throw error
        }
        await io.close()
    }

    static func pool(_ root: String, io: IOPool, faults: String = "", staging: String? = nil, exclusive: Bool = true) throws -> LocalPool {
        try LocalPool(
            root: root, identity: "test", isNew: !FileManager.default.fileExists(atPath: root + "/pool-test"), staging: staging, io: io,
            faults: try Faults(specification: faults), surroundings: .system, exclusive: exclusive)
    }

    static func bytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }
}

extension OpenFile {
    func write(_ bytes: [UInt8], at offset: Int64 = 0) throws(StorageError) {
        let result: Result<Void, StorageError> = bytes.withUnsafeBytes { buffer in
            Result { () throws(StorageError) in try write(buffer, at: offset) }
        }
        try result.get()
    }

    func readAll() throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(try size()))
        let count = try bytes.withUnsafeMutableBytes { try read(into: $0, at: 0) }
        return Array(bytes[..<count])
    }
}
