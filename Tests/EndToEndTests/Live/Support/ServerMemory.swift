import Foundation
import Testing

extension ServerProcess {
    /// What the system counts of its memory: what it holds now, and the most it held (since `forgetPeak`).
    enum Memory: String {
        case now = "VmRSS"
        case peak = "VmHWM"
    }

    /// Bytes.
    func memory(_ kind: Memory = .now, sourceLocation: SourceLocation = #_sourceLocation) throws -> Int {
        let line = DriveCommand.text("/proc/\(pid)/status").split(separator: "\n").first { $0.hasPrefix("\(kind.rawValue):") }
        let number = line?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
        return try #require(number, "no \(kind.rawValue) of the server", sourceLocation: sourceLocation) << 10
    }

    /// Begins a new peak (proc_pid_clear_refs(5)). Where the system does not allow that, the old one stays: a bound is the stricter then.
    func forgetPeak() { try? Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/\(pid)/clear_refs")) }

    /// How much the most it holds while `body` runs is above what it held before: bytes.
    func growth(while body: () async throws -> Void) async throws -> Int {
        forgetPeak()
        let before = try memory()
        try await body()
        return try memory(.peak) - before
    }
}
