import ArgumentParser
import DriveDatabase
import DriveModel
import DriveServer
import DriveUploads
import Foundation
import Logging

/// `drive check`.
struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check every invariant: files read back with their SHA-256, rows and bytes agree, counts are right.",
        discussion: """
            Reads every stored byte. Beside a running server, uploads on their way can show as findings; stop it for a clean answer.
            --repair needs the server stopped: it sets counts and sums to what is recomputed and removes bytes without a row.
            A damaged or missing blob cannot be mended here; it is reported, and --repair marks it, so that the next upload of the
            same content takes its place.

            Exit status: 0 clean, 1 findings.

            Examples:
              drive check --data ./data
              drive check --data ./data --repair
              drive check --json | jq
            """)

    @OptionGroup var options: ServerOptions

    @Flag(help: "Mend what can be mended without losing a byte.")
    var repair = false

    @Flag(help: "Print the findings as JSON.")
    var json = false

    func run() async throws {
        let (repair, json) = (repair, json)
        try await options.storage(exclusive: repair) { storage, context in
            let findings = try await storage.check(repair: repair, database: context.database)
            if json {
                try Output.json(findings)
            } else {
                for finding in findings {
                    Output.line("\(finding.kind)  \(finding.subject)  \(finding.message)\(finding.repaired ? "  (repaired)" : "")")
                }
                let count = findings.count == 1 ? "1 finding" : "\(findings.count) findings"
                Output.line(findings.isEmpty ? "clean" : "\(count), \(findings.filter(\.repaired).count) repaired")
            }
            if findings.contains(where: { !$0.repaired }) { throw ExitStatus.failure.code }
        }
    }
}

extension ServerOptions {
    /// Runs a command over the stored bytes.
    func storage(
        exclusive: Bool, _ body: @escaping @Sendable (StorageContext, AdministrationContext) async throws -> Void
    ) async throws {
        let configuration = try configuration()
        try await administer { context in
            let storage = try await StorageContext.open(configuration, administration: context, faults: .none, exclusive: exclusive)
            do {
                try await body(storage, context)
            } catch {
                await storage.close()
                throw error
            }
            await storage.close()
        }
    }

    /// Runs a command over the pools.
    func pools(_ body: @escaping @Sendable (PoolDirectory, AdministrationContext) async throws -> Void) async throws {
        try await storage(exclusive: false) { storage, context in try await body(storage.pools, context) }
    }
}
