import Testing

@testable import DriveModel

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

@Suite struct FaultsTests {
    @Test func injectsNothingByDefault() throws {
        #expect(Faults.none.hit("file.fsync.before") == .none)
        #expect(try Faults(specification: "").hit("any") == .none)
    }

    @Test(arguments: [
        ("file.open:errno=ENOSPC", "file.open", Faults.Effect.fail(errno: ENOSPC)),
        ("file.open:errno=EIO", "file.open", .fail(errno: EIO)),
        ("file.open:errno=EMFILE", "file.open", .fail(errno: EMFILE)),
        ("file.open:errno=EDQUOT", "file.open", .fail(errno: EDQUOT)),
        ("chunk.write.before:short", "chunk.write.before", .shortWrite),
        // A prefix takes whole words only.
        ("chunk.write:short", "chunk.write.before", .shortWrite), ("chunk:short", "chunk.write.after", .shortWrite),
        ("chunk.wr:short", "chunk.write.before", .none), ("chunk.write.before:short", "chunk.write", .none),
        ("any:errno=EIO", "whatever", .fail(errno: EIO)),
        ("fsync:errno=EIO", "file.fsync.before", .fail(errno: EIO)), ("fsync:errno=EIO", "directory.fsync.before", .fail(errno: EIO)),
        ("fsync:errno=EIO", "database.commit.before", .fail(errno: EIO)), ("fsync:errno=EIO", "file.fsync.after", .none),
        ("fsync:errno=EIO", "blob.rename.before", .none),
        ("file.open:delay=0ms", "file.open", .none),
        // The last rule that applies decides.
        ("a:short;a:errno=EIO", "a", .fail(errno: EIO)), (";;a:short;", "a", .shortWrite),
    ])
    func takesEffectWhereARuleSays(specification: String, point: String, effect: Faults.Effect) throws {
        #expect(try Faults(specification: specification).hit(point) == effect)
    }

    @Test(arguments: [
        ("a:short@1", [1]), ("a:short@3", [3]), ("a:short@2..4", [2, 3, 4]), ("a:short@2..2", [2]), ("a:short", [1, 2, 3, 4, 5, 6]),
        ("a:short@1;a:short@5", [1, 5]), ("a:short@7", []),
    ])
    func countsHits(specification: String, hits: [Int]) throws {
        let faults = try Faults(specification: specification)
        #expect((1...6).filter { _ in faults.hit("a") == .shortWrite } == hits)
    }

    @Test func countsOnlyHitsOfTheRule() throws {
        let faults = try Faults(specification: "a:short@2")
        #expect([faults.hit("a"), faults.hit("b"), faults.hit("b"), faults.hit("a")] == [.none, .none, .none, .shortWrite])
    }

    @Test(arguments: [
        "a", "a:", ":kill", "a:boom", "a:short@", "a:short@0", "a:short@-1", "a:short@x", "a:short@3..2", "a:short@2..", "a:short@1.2",
        "a:short@1..2..3", "a:delay=", "a:delay=5", "a:delay=-1ms", "a:delay=60001ms", "a:delay=99999999999ms", "a:errno=", "a:errno=EPERM",
        "a:errno=5", "a:short;b",
    ])
    func refusesWhatItDoesNotUnderstand(specification: String) {
        #expect(throws: Faults.InvalidSpecification.self) { try Faults(specification: specification) }
    }

    @Test func delays() throws {
        let faults = try Faults(specification: "a:delay=20ms@1")
        let start = ContinuousClock.now
        #expect(faults.hit("a") == .none)
        #expect(ContinuousClock.now - start >= .milliseconds(20))
    }
}
