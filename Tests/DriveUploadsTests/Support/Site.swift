import DriveCrypto
import DriveDatabase
import DriveEvents
import DriveModel
import DriveStorage
import DriveTasks
import DriveUploads
import EngineTestSupport
import Foundation
import NIOCore
import TestSupport
import Testing

/// A folder with a database, which services are started over, one after another or as after a crash.
struct Site: Sendable {
    let folder: String
    let database: UnreliableDatabase
    let io: IOPool
    let clock: ManualClock

    static func with(_ engine: Engine, _ body: (Site) async throws -> Void) async throws {
        try await Slots.sites.with { try await open(engine, body) }
    }

    private static func open(_ engine: Engine, _ body: (Site) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "drive-uploads-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let io = IOPool(threads: 4)
        let result: Result<Void, any Error>
        do {
            try await engine.with(folder.path()) { database in
                try await body(Site(folder: folder.path(), database: UnreliableDatabase(database), io: io, clock: ManualClock()))
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await io.close()
        try result.get()
    }

    /// Small chunks, and no waiting longer than a test should.
    static var settings: UploadSettings {
        var settings = UploadSettings()
        settings.defaultChunkSize = 65_536
        settings.writePiece = 32_768
        return settings
    }

    /// Starts the services as a new process would. `boot` is another one where the machine restarted.
    func start(
        boot: String = "boot-1", faults: String = "", tasks: TaskEngine? = nil, _ change: (inout UploadSettings) -> Void = { _ in }
    ) async throws -> Instance {
        var settings = Self.settings
        change(&settings)
        let clock = clock
        let faults = try Faults(specification: faults)
        // Not exclusive: the process before may still hold the folder's lock, as it was not really killed.
        let pools = PoolDirectory(
            database: database, io: io, faults: faults, surroundings: clock.surroundings, dataFolder: folder, staging: nil,
            exclusive: false,
            logger: Engine.logger)
        try await pools.start(preferred: nil)
        let uploads = UploadService(
            database: database, pools: pools, io: io, settings: settings, surroundings: clock.surroundings, bootId: boot,
            tasks: tasks, logger: Engine.logger)
        return Instance(
            uploads: uploads, pools: pools, files: FileService(database: database, pools: pools, surroundings: clock.surroundings),
            bundles: BundleService(database: database, surroundings: clock.surroundings),
            housekeeping: Housekeeping(uploads: uploads, logger: Engine.logger, steady: { clock.steady }),
            checker: InvariantChecker(database: database, pools: pools, io: io, surroundings: clock.surroundings))
    }

    var stagingFolder: String { folder + "/pools/default/staging" }
    var staged: [String] { (try? FileManager.default.contentsOfDirectory(atPath: stagingFolder)) ?? [] }

    /// Bytes of a staging file.
    func size(ofStaged name: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: stagingFolder + "/" + name)
        return (attributes[.size] as? NSNumber)?.intValue ?? -1
    }

    /// Writes over bytes of a file behind the services' back.
    func damage(_ path: String, at offset: UInt64, with bytes: [UInt8] = [0xDE, 0xAD]) throws {
        let handle = try #require(FileHandle(forUpdatingAtPath: path))
        try handle.seek(toOffset: offset)
        try handle.write(contentsOf: Data(bytes))
        try handle.close()
    }
}

struct Instance: Sendable {
    let uploads: UploadService
    let pools: PoolDirectory
    let files: FileService
    let bundles: BundleService
    let housekeeping: Housekeeping
    let checker: InvariantChecker

    /// The kinds of what the checker finds; empty where all is well.
    func findings() async throws -> [String] {
        try await checker.run(repair: false).map { "\($0.kind) \($0.message)" }
    }

    @discardableResult
    func send(_ index: Int, of upload: Content.Upload, replace: Bool = false, digests: [ExpectedDigest] = []) async throws -> ChunkReply {
        try await uploads.receiveChunk(
            index, of: upload.taskId, body: ScriptedBody(upload.chunk(index), digests: digests), length: nil, replace: replace,
            by: upload.owner)
    }

    func sendAll(_ upload: Content.Upload) async throws {
        for index in 0..<upload.count { try await send(index, of: upload) }
    }

    /// Completes, asking again while bytes are verified.
    func complete(_ upload: Content.Upload) async throws -> CloudFile {
        for _ in 0..<100 {
            if case .file(let file) = try await uploads.complete(upload.taskId, by: upload.owner) { return file }
        }
        throw TimedOut()
    }

    func status(_ upload: Content.Upload) async throws -> TaskStatus {
        try await uploads.record(upload.taskId, account: upload.owner.accountId).status
    }

    func bytes(of file: CloudFile, owner: Caller) async throws -> [UInt8] {
        let content = try await files.open(file.id, account: owner.accountId).content
        var bytes = [UInt8](repeating: 0, count: Int(try content.size()))
        let count = try bytes.withUnsafeMutableBytes { try content.read(into: $0, at: 0) }
        return Array(bytes[..<count])
    }
}

/// A file to be uploaded.
struct Content: Sendable {
    let bytes: [UInt8]

    init(_ count: Int, seed: UInt64 = 1) {
        var generator = SeededGenerator(seed: seed)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count { withUnsafeBytes(of: generator.next()) { bytes.append(contentsOf: $0) } }
        self.bytes = Array(bytes[..<count])
    }

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    var hash: String { Self.sha256(bytes).map(Hex.encode) ?? "" }

    static func sha256(_ bytes: some Collection<UInt8>) -> [UInt8]? {
        var stream = SHA256Stream()
        Array(bytes).withUnsafeBytes { stream.update($0) }
        return stream.digest()
    }

    /// An upload of this content in its owner's name.
    struct Upload: Sendable {
        let content: Content
        let taskId: String
        let chunkSize: Int
        let owner: Caller

        var count: Int { (content.bytes.count + chunkSize - 1) / chunkSize }
        func chunk(_ index: Int) -> [UInt8] {
            Array(content.bytes[index * chunkSize..<min((index + 1) * chunkSize, content.bytes.count)])
        }
    }

    func create(
        on instance: Instance, by owner: Caller = .someone(), hash: String? = nil, bundle: UUID? = nil, pool: UUID? = nil,
        expiredAt: Timestamp? = nil, key: String? = nil
    ) async throws -> Upload {
        let created = try await instance.uploads.create(
            CreateUploadRequest(
                fileName: "file.bin", fileSize: Int64(bytes.count), poolId: pool, bundleId: bundle, expiredAt: expiredAt, hash: hash),
            idempotencyKey: key, by: owner)
        return Upload(content: self, taskId: try #require(created.taskId), chunkSize: Int(created.chunkSize), owner: owner)
    }
}

extension Caller {
    static func someone(role: AccountRole = .user) -> Caller {
        Caller(accountId: UUID(), role: role, address: "127.0.0.1", requestId: "test")
    }
}

/// Runs `work` and expects it to throw this code.
func expectRefusal(
    _ code: DriveError.Code, sourceLocation: SourceLocation = #_sourceLocation, _ work: () async throws -> some Any
) async {
    do {
        _ = try await work()
        Issue.record("expected \(code.name), nothing was thrown", sourceLocation: sourceLocation)
    } catch let error as DriveError {
        #expect(error.code.name == code.name, sourceLocation: sourceLocation)
    } catch {
        Issue.record("expected \(code.name), got \(error)", sourceLocation: sourceLocation)
    }
}

extension Slots {
    /// Every site of these tests takes one.
    static let sites = Slots(4)
}
