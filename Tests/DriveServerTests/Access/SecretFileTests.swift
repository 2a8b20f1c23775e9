import DriveModel
import Foundation
import Testing

@testable import DriveServer

@Suite struct SecretFileTests {
    private static func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("drive-secrets-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
    }

    private static func mode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.posixPermissions] as? Int)
    }

    private static func set(mode: Int, _ path: String) throws {
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }

    @Test func aKeyIsMadeOnceAndForItsOwnerAlone() async throws {
        try await Self.withFolder { data in
            let first = try SigningKey.loadOrCreate(dataFolder: data)
            let second = try SigningKey.loadOrCreate(dataFolder: data)
            #expect(first.id == second.id)
            #expect(first.sign([1, 2, 3]) == second.sign([1, 2, 3]))
            #expect(try Self.mode(data + "/secrets") == 0o700)
            #expect(try Self.mode(data + "/secrets/signing.key") == 0o600)
            #expect(try FileManager.default.contentsOfDirectory(atPath: data + "/secrets") == ["signing.key"], "nothing is left over")
            let master = try MasterKey.load(base64: nil, file: nil, dataFolder: data)
            #expect(try MasterKey.load(base64: nil, file: nil, dataFolder: data).bytes == master.bytes)
            #expect(master.id != first.id)
        }
    }

    @Test func processesThatStartAtOnceGetOneKey() async throws {
        try await Self.withFolder { data in
            let ids = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<16 { group.addTask { try SigningKey.loadOrCreate(dataFolder: data).id } }
                return try await group.reduce(into: Set<String>()) { $0.insert($1) }
            }
            #expect(ids.count == 1)
        }
    }

    @Test(arguments: [0o640, 0o604, 0o660, 0o602]) func aKeyOthersCanReachIsRefused(mode: Int) async throws {
        try await Self.withFolder { data in
            _ = try SigningKey.loadOrCreate(dataFolder: data)
            try Self.set(mode: mode, data + "/secrets/signing.key")
            let error = try #require(throws: SecretError.self) { try SigningKey.loadOrCreate(dataFolder: data) }
            #expect(error.message.contains("chmod 600"))
        }
    }

    @Test func aFolderOthersCanEnterIsRefused() async throws {
        try await Self.withFolder { data in
            _ = try SigningKey.loadOrCreate(dataFolder: data)
            try Self.set(mode: 0o755, data + "/secrets")
            let error = try #require(throws: SecretError.self) { try SigningKey.loadOrCreate(dataFolder: data) }
            #expect(error.message.contains("chmod 700"))
        }
    }

    @Test(arguments: [0, 1, 31, 33, 2000]) func aFileOfAnotherLengthIsNoKey(length: Int) async throws {
        try await Self.withFolder { data in
            _ = try SigningKey.loadOrCreate(dataFolder: data)
            let path = data + "/secrets/signing.key"
            try Data(repeating: 7, count: length).write(to: URL(fileURLWithPath: path))
            try Self.set(mode: 0o600, path)
            #expect(throws: SecretError.self) { try SigningKey.loadOrCreate(dataFolder: data) }
        }
    }

    @Test func theOperatorsMasterKey() async throws {
        try await Self.withFolder { data in
            let bytes = [UInt8](0..<32)
            let text = Data(bytes).base64EncodedString()
            let key = try MasterKey.load(base64: Secret(text), file: nil, dataFolder: data)
            #expect(key.bytes == bytes)
            // SHA-256 of "drive-key-id" and the bytes 0…31.
            #expect(key.id == "c41cb021")
            #expect(!FileManager.default.fileExists(atPath: data), "nothing is made where a key is given")
            #expect(!"\(key)".contains(text) && !String(reflecting: key).contains("31"))
            for bad in ["", "x", "AAAA", text + "AAAA"] {
                #expect(throws: SecretError.self) { try MasterKey.load(base64: Secret(bad), file: nil, dataFolder: data) }
            }
            try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
            let file = data + "/operator.key"
            #expect(throws: SecretError.self) { try MasterKey.load(base64: nil, file: file, dataFolder: data) }
            let contents = Data((text + "\n").utf8)
            #expect(FileManager.default.createFile(atPath: file, contents: contents, attributes: [.posixPermissions: 0o600]))
            #expect(try MasterKey.load(base64: nil, file: file, dataFolder: data).bytes == bytes)
        }
    }
}
