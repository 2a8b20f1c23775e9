import ArgumentParser
import DriveDatabase
import DriveModel
import DriveServer
import DriveStorage
import Foundation
import Logging

/// Which data folder, and the configuration above it: what every command of the server's side takes.
struct ServerOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The data folder (DRIVE_DATA; default ./data).", valueName: "folder"), completion: .directory)
    var data: String?

    @Option(
        help: ArgumentHelp("A YAML file with settings (DRIVE_CONFIG; default drive.yaml in the data folder).", valueName: "file"),
        completion: .file())
    var config: String?

    /// The configuration: `overrides` over the environment over the file. Wrong values end the command, all at once.
    func configuration(_ overrides: [String: String?] = [:]) throws -> DriveConfiguration {
        var given = overrides.compactMapValues { $0 }
        given["data"] = data
        do {
            return try DriveConfiguration.read(configPath: config, overrides: given)
        } catch {
            throw Failure(.configuration, "\(error)").exit()
        }
    }

    /// Runs a command over the accounts and the database, beside a running server or without one.
    ///
    /// - Parameter existing: whether the data folder must be there already; a misspelt one is not made.
    func administer(existing: Bool = true, _ body: @escaping @Sendable (AdministrationContext) async throws -> Void) async throws {
        let configuration = try configuration()
        LogOutput.standardError(configuration.log.quietly).bootstrap()
        if existing, !FileManager.default.fileExists(atPath: configuration.dataFolder + "/secrets") {
            throw Failure(.localFile, "\(configuration.dataFolder) is no data folder; name one with --data or DRIVE_DATA").exit()
        }
        try await Failure.translating {
            let context = try await AdministrationContext.open(configuration, logger: Logger(label: "Drive"))
            do {
                try await body(context)
            } catch {
                await context.database.close()
                throw error
            }
            await context.database.close()
        }
    }
}

extension DriveConfiguration.Log {
    /// For commands whose standard error is for a person: warnings and worse.
    var quietly: Self {
        var log = self
        if levels == LogLevels(default: .info) { log.levels = LogLevels(default: .warning) }
        return log
    }
}

/// A command's end with a message and an exit status.
struct Failure: Error, CustomStringConvertible {
    let status: ExitStatus
    let description: String

    init(_ status: ExitStatus, _ message: String) {
        self.status = status
        description = message
    }

    /// Runs `body`; its error becomes one line on standard error and the exit status that fits.
    static func translating(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as ExitCode {
            throw error
        } catch let error as Failure {
            throw error.exit()
        } catch let error as DriveError {
            throw Failure(status(of: error), error.message).exit()
        } catch let error as DatabaseError {
            throw Failure(error.isRetryable ? .retryable : .configuration, "the database: \(error.message)").exit()
        } catch let error as StorageError {
            throw Failure(.localFile, "\(error)").exit()
        } catch let error as ListenError {
            throw Failure(.configuration, "\(error)").exit()
        } catch let error as SecretError {
            throw Failure(.configuration, "\(error)").exit()
        } catch {
            throw Failure(.failure, "\(error)").exit()
        }
    }

    func exit() -> ExitCode {
        StandardStream.error("drive: \(description)")
        return status.code
    }

    private static func status(of error: DriveError) -> ExitStatus {
        switch error.code.category {
        case .notFound, .gone: .notFound
        case .refused, .tooLarge, .conflict: .refused
        case .invalid, .unprocessable: .usage
        case .unavailable, .storageFull, .tooManyRequests: .retryable
        default: .failure
        }
    }
}
