import DriveDatabase
import DriveModel
import DriveStorage
import DriveTasks
import Foundation
import Logging
import ServiceLifecycle
import UnixSignals

extension DriveApplication {
    /// Why no worker can run beside this configuration's server; nil where one can.
    package static func workerRefusal(_ configuration: DriveConfiguration) -> String? {
        guard configuration.database.url == nil else { return nil }
        return
            "An SQLite data folder is its server's alone, and drive serve runs its tasks already; a worker apart needs PostgreSQL (DATABASE_URL)."
    }

    /// Runs tasks beside the servers of a PostgreSQL database, without serving requests, until SIGTERM or SIGINT.
    ///
    /// Call it only where `workerRefusal` has nothing to say.
    package static func work(_ configuration: DriveConfiguration, ready: @escaping @Sendable (_ name: String) -> Void) async throws {
        let logger = Logger(label: "Drive.Worker")
        for warning in configuration.warnings { logger.warning("\(warning)") }
        let faults = try Faults(specification: configuration.faults ?? "")
        let administration = try await AdministrationContext.open(configuration, faults: faults, logger: logger)
        let outcome: Result<Void, any Error>
        do {
            // Beside the server that owns the pools' folders: files are written to paths of the attempt's own.
            let storage = try await StorageContext.open(configuration, administration: administration, faults: faults, exclusive: false)
            let name = WorkerName.ofThisProcess("worker")
            let worker = TaskWorker(engine: storage.tasks.engine, queues: [TaskQueues.drive], name: name)
            ready(name)
            do {
                try await ServiceGroup(
                    configuration: ServiceGroupConfiguration(
                        services: [.init(service: WorkerService(worker: worker))], gracefulShutdownSignals: [.sigterm, .sigint],
                        logger: logger)
                ).run()
                outcome = .success(())
            } catch {
                outcome = .failure(error)
            }
            await storage.close()
        } catch {
            outcome = .failure(error)
        }
        await administration.database.close()
        try outcome.get()
    }
}

/// A task worker among the process's services.
struct WorkerService: Service {
    let worker: TaskWorker

    func run() async throws {
        try await cancelWhenGracefulShutdown { try await worker.run() }
    }
}

/// The progress of uploads and of workers over HTTP that waits for its second.
struct HeldProgressService: Service {
    let held: HeldProgress

    func run() async throws {
        await cancelWhenGracefulShutdown { await held.run() }
    }
}

enum WorkerName {
    /// For people: what it is, on which machine, in which process.
    static func ofThisProcess(_ role: String) -> String {
        "\(role)@\(ProcessInfo.processInfo.hostName)#\(ProcessInfo.processInfo.processIdentifier)"
    }
}
