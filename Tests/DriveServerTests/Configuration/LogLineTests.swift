import Foundation
import Testing

/// Holds the tables of log lines in docs/operations.md to the sources: who looks for a line in a log has it from there.
@Suite struct LogLineTests {
    @Test func documentedLinesAreLogged() throws {
        let document = try String(contentsOfFile: repositoryRoot + "/docs/operations.md", encoding: .utf8)
        let sources = try Self.sources()
        var count = 0
        for table in document.components(separatedBy: "\n| Log line").dropFirst() {
            // Behind the table's head, which takes two lines.
            let rows = table.split(separator: "\n", omittingEmptySubsequences: false).dropFirst(2).prefix { $0.hasPrefix("|") }
            for row in rows {
                let lines = row.dropFirst().prefix { $0 != "|" }.matches(of: #/`([^`]+)`/#).map { String($0.1) }
                #expect(!lines.isEmpty, "\(row)")
                for line in lines {
                    let isLogged = sources.contains("\"\(line)\"")
                    #expect(isLogged, "\(line)")
                }
                count += lines.count
            }
        }
        #expect(count > 20)
    }

    /// All of them in one text.
    private static func sources() throws -> String {
        let folder = repositoryRoot + "/Sources/"
        let names = try #require(FileManager.default.enumerator(atPath: folder)).compactMap { $0 as? String }
        return try names.filter { $0.hasSuffix(".swift") }.map { try String(contentsOfFile: folder + $0, encoding: .utf8) }.joined()
    }
}
