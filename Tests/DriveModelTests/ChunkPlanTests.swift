import TestSupport
import Testing

@testable import DriveModel

@Suite struct ChunkPlanTests {
    private static let mebi: Int64 = 1 << 20

    private static func decide(_ size: Int64, _ requested: Int64?, maximum: Int64 = 16 << 20, limit: Int64 = 5 << 40) throws(DriveError)
        -> ChunkPlan
    {
        try ChunkPlan.decide(fileSize: size, requested: requested, defaultSize: 5 << 20, maximumSize: maximum, maximumFileSize: limit)
    }

    @Test(
        arguments: [
            // size, wish, chunk size, count
            (0, nil, 5 << 20, 0), (1, nil, 1, 1), (65_535, nil, 65_535, 1), (65_536, nil, 5 << 20, 1), (5 << 20, nil, 5 << 20, 1),
            ((5 << 20) + 1, nil, 5 << 20, 2), (100 << 20, nil, 5 << 20, 20),
            // Wishes: clamped, rounded up to the unit.
            (100 << 20, 1, 65_536, 1600), (100 << 20, 65_537, 131_072, 800), (100 << 20, 16 << 20, 16 << 20, 7),
            (100 << 20, (16 << 20) + 1, 16 << 20, 7), (100 << 20, .max, 16 << 20, 7), (1000, 1, 1000, 1), (1000, .max, 1000, 1),
            // At most 10,000 chunks, while 16 MiB allows it.
            (10_000 * 65_536, 65_536, 65_536, 10_000), (10_000 * 65_536 + 1, 65_536, 131_072, 5001),
            (10_000 * (5 << 20) + 1, nil, (5 << 20) + 65_536, 9877), (10_000 * (16 << 20), nil, 16 << 20, 10_000),
            (10_000 * (16 << 20) + 1, nil, 16 << 20, 10_001), (5 << 40, nil, 16 << 20, 327_680),
        ] as [(Int64, Int64?, Int64, Int)])
    func decidesChunks(size: Int64, wish: Int64?, chunkSize: Int64, count: Int) throws {
        let plan = try Self.decide(size, wish)
        #expect(plan.chunkSize == chunkSize)
        #expect(plan.count == count)
    }

    @Test(
        arguments: [
            (-1, nil, DriveError.Code.invalidFileSize), (.min, nil, .invalidFileSize), ((5 << 40) + 1, nil, .fileTooLarge),
            (.max, nil, .fileTooLarge), (.max, .max, .fileTooLarge), (10, 0, .invalidChunkSize), (10, -1, .invalidChunkSize),
            (10, .min, .invalidChunkSize), (0, 0, .invalidChunkSize),
        ] as [(Int64, Int64?, DriveError.Code)])
    func refuses(size: Int64, wish: Int64?, code: DriveError.Code) {
        let error = #expect(throws: DriveError.self) { try Self.decide(size, wish) }
        #expect(error?.code == code)
    }

    @Test func refusesMoreChunksThanAnyoneCanSend() throws {
        let maximum: Int64 = 65_536
        #expect(try Self.decide(maximum * 1_000_000, nil, maximum: maximum, limit: .max).count == 1_000_000)
        #expect(throws: DriveError.self) { try Self.decide(maximum * 1_000_000 + 1, nil, maximum: maximum, limit: .max) }
        #expect(throws: DriveError.self) { try Self.decide(.max, nil, limit: .max) }
    }

    @Test func chunksCoverTheFileOnce() throws {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<2000 {
            let size = Int64.random(in: 0...(1 << Int64.random(in: 0...42, using: &generator)), using: &generator)
            let plan = try Self.decide(size, Bool.random(using: &generator) ? nil : .random(in: 1...(20 << 20), using: &generator))
            #expect(plan.count <= 10_000 || plan.chunkSize == 16 << 20)
            #expect(plan.chunkSize.isMultiple(of: 65_536) || plan.chunkSize == size)
            #expect(plan.chunkSize <= 16 << 20)
            guard plan.count > 0 else {
                #expect(size == 0)
                continue
            }
            for index in [0, plan.count / 2, plan.count - 1] {
                let bytes = try #require(plan.size(of: index))
                #expect(bytes > 0 && bytes <= plan.chunkSize)
                #expect(plan.offset(of: index) == Int64(index) * plan.chunkSize)
            }
            #expect(plan.offset(of: plan.count - 1) + (plan.size(of: plan.count - 1) ?? 0) == size)
        }
    }

    @Test(arguments: [-1, 3, .max, .min])
    func hasNoOtherChunks(index: Int) {
        #expect(ChunkPlan(fileSize: 25, chunkSize: 10).size(of: index) == nil)
    }

    @Test(arguments: [(-1, 10, 0), (0, 0, 0), (.max, .max, 1), (.max, 1, Int.max), (5, -3, 5)] as [(Int64, Int64, Int)])
    func takesRowsOfAnyContentWithoutATrap(size: Int64, chunkSize: Int64, count: Int) {
        #expect(ChunkPlan(fileSize: size, chunkSize: chunkSize).count == count)
    }
}
