import DriveModel
import DriveStorage
import Foundation
import Testing

/// A store under test, and how bytes get into it.
enum StoreUnderTest: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case local

    var testDescription: String { rawValue }

    /// `put` publishes bytes and returns their path.
    func with(_ body: (_ store: any BlobStore, _ put: ([UInt8]) async throws -> String) async throws -> Void) async throws {
        switch self {
        case .local:
            try await StorageFixture.with { folder, io in
                let pool = try StorageFixture.pool(folder + "/pool", io: io)
                try await body(pool) { bytes in
                    let name = UUID().uuidString
                    let file = try await pool.createStaging(name, size: Int64(bytes.count), keepSize: false)
                    try file.write(bytes)
                    let path = try await pool.newBlobPath()
                    try await pool.publish(staging: name, as: path)
                    return path
                }
            }
        }
    }
}

/// What every `BlobStore` promises.
@Suite struct BlobStoreConformance {
    @Test(arguments: StoreUnderTest.allCases, [0, 1, 65_536, 300_001])
    func givesPublishedBytesBack(store: StoreUnderTest, count: Int) async throws {
        try await store.with { store, put in
            let bytes = StorageFixture.bytes(count)
            let path = try await put(bytes)
            #expect(try await store.open(path).readAll() == bytes)
            #expect(try await store.list() == [path])
        }
    }

    @Test(arguments: StoreUnderTest.allCases)
    func saysWhenABlobIsMissing(store: StoreUnderTest) async throws {
        try await store.with { store, put in
            let path = try await put([1, 2, 3])
            try await store.remove(path)
            let error = await #expect(throws: StorageError.self) { try await store.open(path) }
            #expect(error?.isMissing == true)
            #expect(try await store.list() == [])
        }
    }

    @Test(arguments: StoreUnderTest.allCases)
    func removingTwiceIsFine(store: StoreUnderTest) async throws {
        try await store.with { store, put in
            let (gone, kept) = (try await put([1]), try await put([2]))
            try await store.remove(gone)
            try await store.remove(gone)
            #expect(try await store.list() == [kept])
        }
    }

    @Test(arguments: StoreUnderTest.allCases)
    func neverUsesAPathAgain(store: StoreUnderTest) async throws {
        try await store.with { store, put in
            var paths: Set<String> = []
            for _ in 0..<50 {
                let path = try await put([7])
                #expect(paths.insert(path).inserted)
                try await store.remove(path)
            }
        }
    }

    @Test(arguments: StoreUnderTest.allCases)
    func anOpenBlobOutlivesItsRemoval(store: StoreUnderTest) async throws {
        try await store.with { store, put in
            let path = try await put([1, 2, 3])
            let file = try await store.open(path)
            try await store.remove(path)
            #expect(try file.readAll() == [1, 2, 3])
        }
    }

    @Test(arguments: StoreUnderTest.allCases)
    func listsAll(store: StoreUnderTest) async throws {
        try await store.with { store, put in
            var paths: Set<String> = []
            for index in 0..<30 { paths.insert(try await put([UInt8(index)])) }
            #expect(Set(try await store.list()) == paths)
        }
    }
}
