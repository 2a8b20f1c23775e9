import Foundation
import Synchronization

/// Reads a server's stdout to the end, so that it never blocks on a full pipe, and finds the ready line in it.
final class OutputLines: Sendable {
    private static let mark = "drive: listening on http://127.0.0.1:"

    private let text = Mutex<[UInt8]>([])
    private let ready = Box<Int?>()

    /// Takes the descriptor over.
    init(descriptor: Int32) {
        let thread = Thread { [self] in
            var buffer = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { break }
                text.withLock { $0 += buffer[..<count] }
                if let port = lines.lazy.compactMap(Self.port).first { ready.fill(port) }
            }
            close(descriptor)
            ready.fill(nil)
        }
        thread.stackSize = 256 << 10
        thread.start()
    }

    /// Finished lines so far.
    var lines: [String] {
        let bytes = text.withLock { $0 }
        let whole = bytes[..<(bytes.lastIndex(of: 10) ?? bytes.startIndex)]
        return String(decoding: whole, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    /// The port of the ready line; nil where the output ended without one.
    func port() async throws -> Int? { try await ready.value() }

    private static func port(in line: String) -> Int? {
        guard line.hasPrefix(mark) else { return nil }
        return Int(line.dropFirst(mark.count).prefix { $0.isNumber })
    }
}
