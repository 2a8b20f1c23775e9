import DriveModel
import DriveUploads
import EngineTestSupport
import Foundation
import Testing

/// A folder is one pool's.
@Suite struct PoolFolderTests {
    @Test(arguments: ["pools/default", "pools", ".", "pools/default/blobs", "pools/../pools/default/", "link"])
    func aPoolsFolderIsNoOthers(path: String) async throws {
        try await Site.with(.sqlite) { site in
            let drive = try await site.start()
            try FileManager.default.createSymbolicLink(
                atPath: site.folder + "/link", withDestinationPath: site.folder + "/pools/default")
            let before = try FileManager.default.subpathsOfDirectory(atPath: site.folder + "/pools").sorted()
            for path in [path, site.folder + "/" + path] {
                let error = await #expect(throws: DriveError.self) {
                    try await drive.pools.create(name: "second", path: path, policy: PoolPolicy())
                }
                #expect(error?.code == .conflict)
                #expect(error?.message.contains("default") == true)
            }
            #expect(try await drive.pools.list().map(\.name) == ["default"])
            #expect(try FileManager.default.subpathsOfDirectory(atPath: site.folder + "/pools").sorted() == before)
        }
    }

    /// As of another server, or of a pool whose row was lost.
    @Test func aMarkedFolderIsNotTaken() async throws {
        try await Site.with(.sqlite) { site in
            let drive = try await site.start()
            try FileManager.default.createDirectory(atPath: site.folder + "/old", withIntermediateDirectories: true)
            try Data().write(to: URL(fileURLWithPath: site.folder + "/old/pool-11111111-2222-4333-8444-555555555555"))
            let error = await #expect(throws: DriveError.self) {
                try await drive.pools.create(name: "second", path: "old", policy: PoolPolicy())
            }
            #expect(error?.code == .conflict)
            #expect(error?.message.contains("pool-11111111-2222-4333-8444-555555555555") == true)
        }
    }

    @Test(arguments: ["pools/default2", "pools/a/b", nil]) func foldersThatAreApart(path: String?) async throws {
        try await Site.with(.sqlite) { site in
            let drive = try await site.start()
            _ = try await drive.pools.create(name: "second", path: path, policy: PoolPolicy())
            #expect(try await drive.pools.list().map(\.name) == ["default", "second"])
            // Also for the next process.
            #expect(try await site.start().pools.list().count == 2)
        }
    }
}
