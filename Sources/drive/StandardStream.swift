import DriveModel
import Foundation
import Synchronization

/// Lines on standard output and standard error.
enum StandardStream {
    private static let hasLostReader = Atomic<Bool>(false)

    /// Whether the reader of the answers has gone: a command without an end of its own ends then.
    static var isUnread: Bool { hasLostReader.load(ordering: .relaxed) }

    /// A line of the answer.
    ///
    /// Where the reader has gone (`drive ls | head`) it has seen enough, and the command goes on without it. Any other
    /// failure, a full disk say, ends the program: an answer that is not whole must not look like one.
    static func output(_ line: String) {
        guard let failure = write(line + "\n", to: STDOUT_FILENO) else { return }
        guard failure != EPIPE else { return hasLostReader.store(true, ordering: .relaxed) }
        error("drive: standard output: \(String(cString: strerror(failure)))")
        exit(ExitStatus.localFile.rawValue)
    }

    /// A line for a person. There is nobody left to be told where it cannot be written.
    static func error(_ line: String) {
        _ = write(line.forTerminal + "\n", to: STDERR_FILENO)
    }

    /// The same without an end of line, for a line that changes.
    static func progress(_ text: String) {
        _ = write(text, to: STDERR_FILENO)
    }

    /// Returns the `errno` of a failure.
    private static func write(_ text: String, to descriptor: Int32) -> Int32? {
        var bytes = ArraySlice(Array(text.utf8))
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                bytes = bytes.dropFirst(count)
            } else if errno != EINTR {
                return errno
            }
        }
        return nil
    }
}

/// Lines and tables on standard output.
enum Output {
    static func line(_ text: String) {
        StandardStream.output(text)
    }

    static func json(_ value: some Encodable) throws {
        line(try DriveJSON.text(value))
    }

    static func table(_ rows: [[String]]) {
        guard let columns = rows.first?.count else { return }
        let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
        for row in rows {
            let cells = row.enumerated().map { index, cell in
                index == columns - 1 ? cell : cell + String(repeating: " ", count: widths[index] - cell.count)
            }
            line(cells.joined(separator: "  "))
        }
    }
}

extension String {
    /// The text without what a terminal would obey or show in another order: names come from anywhere.
    var forTerminal: String {
        var result = ""
        for scalar in unicodeScalars {
            let isHarmless =
                switch scalar.value {
                case 0x0A, 0x09: true
                // C0 and C1 controls; marks, embeddings, overrides and isolates of direction.
                case 0...0x1F, 0x7F...0x9F, 0x200E...0x200F, 0x202A...0x202E, 0x2066...0x2069: false
                default: true
                }
            result.unicodeScalars.append(isHarmless ? scalar : "\u{FFFD}")
        }
        return result
    }
}
