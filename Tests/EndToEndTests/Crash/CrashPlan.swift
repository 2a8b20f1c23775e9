import TestSupport

/// When and how one run's server dies, over which database and with which bytes: all of it follows from the seed.
struct CrashPlan: Sendable, CustomStringConvertible {
    enum Death: Equatable, Sendable {
        /// At the n-th passing of a named point.
        case point(String, Int)
        /// At the n-th passing of any point.
        case anyPoint(Int)
        /// By `kill -9` from outside, this long after the start of the workload.
        case moment(milliseconds: Int)
    }

    enum Database: String, CaseIterable, Sendable {
        case sqlite = "SQLite"
        case postgresql = "PostgreSQL"
    }

    /// Every point the fault layer has (`DriveModel/Faults`).
    static let points = [
        "chunk.write.before", "chunk.write.after", "staging.preallocate", "file.open", "file.fsync.before", "file.fsync.after",
        "blob.rename.before", "blob.rename.after", "directory.fsync.before", "directory.fsync.after", "database.commit.before",
        "database.commit.after", "staging.copy",
    ]

    /// Consecutive seeds: each named point once in a cycle, then any point, then any moment.
    private static let cycle: UInt64 = 20

    let seed: UInt64
    let death: Death
    /// PostgreSQL for every fifth seed, other ones in the next cycle: ten cycles meet each death with both ways of writing.
    let database: Database
    /// Whether uploads are written around the page cache: every second seed, the other ones in the next cycle.
    let isDirect: Bool
    /// Whether most clients speak tus and Resumable Uploads for HTTP; else most of them send chunks.
    let isStreaming: Bool
    /// Whether a client sends for so long that it is told more than once, while it sends, how much is kept.
    let isSlow: Bool
    /// Whether tasks move, change and delete files meanwhile: every third seed, so that three cycles meet each death with them.
    let hasTasks: Bool

    /// - Parameter withPostgres: whether there is a PostgreSQL; else all seeds are SQLite's.
    init(seed: UInt64, withPostgres: Bool) {
        self.seed = seed
        database = withPostgres && (seed + seed / Self.cycle) % 5 == 2 ? .postgresql : .sqlite
        isDirect = (seed + seed / Self.cycle) % 2 == 1
        // Every second pair of seeds, the other ones two cycles later: four cycles meet each death with all four pairs of ways.
        isStreaming = (seed / 2 + seed / (2 * Self.cycle)) % 2 == 1
        var generator = SeededGenerator(seed: seed)
        let place = Int(seed % Self.cycle)
        isSlow = place == 19 && seed / Self.cycle % 5 == 0
        hasTasks = seed % 3 == 0
        if place < Self.points.count {
            let name = Self.points[place]
            death = .point(name, Int.random(in: Self.passings(of: name, withTasks: hasTasks), using: &generator))
        } else if place < 17 {
            death = .anyPoint(Int.random(in: hasTasks ? 150...1600 : 1...160, using: &generator))
        } else {
            let moments = isSlow ? 2150...2600 : hasTasks ? 100...1800 : 1...700
            death = .moment(milliseconds: Int.random(in: moments, using: &generator))
        }
    }

    /// The passing of a point that kills. Rarely passed points are passed a few times at least; commits and writes many times,
    /// over both databases. With tasks all are passed more often, and the first times before there are any. What is shared by
    /// those who wait for it (commits, flushes of directories) is passed less often where the disk is slow.
    private static func passings(of point: String, withTasks: Bool) -> ClosedRange<Int> {
        if point.hasPrefix("database") { return withTasks ? 30...125 : 1...40 }
        if point.hasPrefix("directory") { return withTasks ? 5...35 : 1...4 }
        if point == "file.open" { return withTasks ? 30...180 : 1...20 }
        if point.hasPrefix("chunk") { return withTasks ? 10...80 : 1...20 }
        if point == "staging.copy" { return withTasks ? 1...20 : 1...4 }
        return withTasks ? 5...70 : 1...4
    }

    /// Whether the dead server's tasks wait for the end of its lease before they go on: half a minute, in which nothing happens.
    var waitsForLease: Bool { hasTasks && database == .postgresql }

    /// `DRIVE_FAULTS`; nil where the kill comes from outside.
    var faults: String? {
        switch death {
        case .point(let name, let count): "\(name):kill@\(count)"
        case .anyPoint(let count): "any:kill@\(count)"
        case .moment: nil
        }
    }

    /// Whether all that the tus client does is to concatenate: only then the copy is passed often enough.
    var concatenatesOnly: Bool {
        if case .point("staging.copy", _) = death { return true }
        return false
    }

    /// What the server is told in both of its lives.
    var settings: [String: String] { isDirect ? ["STORAGE_DIRECT_IO_FROM": "0"] : [:] }

    /// Bytes of a chunk. Only pieces of 256 KiB and more go around the page cache.
    var chunkSize: Int { isDirect ? 5 * 65_536 : 65_536 }

    var description: String {
        let work = (isStreaming ? " with streams" : "") + (hasTasks ? " with tasks" : "")
        let way = work + (isDirect ? " around the page cache" : "") + " over \(database.rawValue)"
        return switch death {
        case .point, .anyPoint: "seed \(seed): DRIVE_FAULTS=\(faults ?? "")\(way)"
        case .moment(let milliseconds): "seed \(seed): kill -9 after \(milliseconds) ms\(way)"
        }
    }

    /// `scripts/test` brings a PostgreSQL; without one every seed is SQLite's.
    var replay: String {
        let command = database == .postgresql ? "scripts/test" : "swift test"
        return "replay: DRIVE_CRASH_SEED=\(seed) DRIVE_CRASH_KILLS=1 \(command) --filter CrashTests"
    }
}
