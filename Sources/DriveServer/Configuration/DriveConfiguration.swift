import Foundation
import Logging

/// Everything an operator can set. The defaults stand here and nowhere else; names, texts and limits stand in ``SettingsTable``.
///
/// Sizes are in bytes. Paths are as given: a relative one counts from the working directory.
package struct DriveConfiguration: Sendable, Equatable {
    /// The folder that holds the database, the blobs and the generated secrets.
    package var dataFolder = "./data"
    package var server = Server()
    package var database = Database()
    package var storage = Storage()
    package var uploads = Uploads()
    package var tasks = Tasks()
    package var ring = Ring()
    package var quota = Quota()
    package var access = Access()
    package var rateLimits = RateLimits()
    package var cors = CORS()
    package var tls = TLS()
    package var connections = Connections()
    package var threads = Threads()
    package var log = Log()
    /// The specification of the fault layer, for tests alone; nil in real use.
    package var faults: String?

    /// What the loader found odd but not wrong; to be logged once at the start.
    package var warnings: [ConfigurationProblem] = []

    package init() {}

    /// `name` in `folder`, with one slash between.
    static func path(_ name: String, in folder: String) -> String {
        folder.hasSuffix("/") ? folder + name : folder + "/" + name
    }
}

extension DriveConfiguration {
    /// Where the server listens, and how the world reaches it.
    package struct Server: Sendable, Equatable {
        package var host = "127.0.0.1"
        /// 0 lets the system choose a free port.
        package var port = 8080
        /// The address clients use, without a trailing slash; nil: taken from the request.
        package var publicURL: String?
        /// Networks (CIDR) whose `Forwarded` and `X-Forwarded-*` headers count.
        package var trustedProxies: [String] = []
    }

    /// The database; SQLite in the data folder where no address is given.
    package struct Database: Sendable, Equatable {
        /// A `postgres://` address with its password; nil: SQLite.
        package var url: Secret?
        package var poolSize = 16
    }

    /// Where bytes are put, and when unreferenced ones go.
    package struct Storage: Sendable, Equatable {
        /// The staging folder for the pools on its file system; nil: `staging` inside each pool's folder.
        package var uploadsPath: String?
        /// Bytes from which an upload is written around the page cache, where the file system can.
        package var directIOFrom: Int64 = 32 << 20
        /// The pool used where an upload names none; nil: the first pool.
        package var preferredRemote: UUID?
        package var blobGracePeriod: Duration = .seconds(3600)
    }

    /// The background tasks.
    package struct Tasks: Sendable, Equatable {
        /// How long a task that has ended is kept.
        package var retention: Duration = .seconds(30 * 86_400)
        /// Tasks one process runs at the same time.
        package var slots = 32
        /// Tasks that run at the same time over all servers; 0: no limit.
        package var maxRunningPerAccount = 16
        package var maxRunningPerPool = 4
        /// How long running tasks may run on when the process stops.
        package var drainTime: Duration = .seconds(5)
        /// How long a worker may show no sign of life.
        package var leasePatience: Duration = .seconds(30)
    }

    /// What an account may store.
    package struct Quota: Sendable, Equatable {
        /// Bytes per account; nil: unlimited.
        package var defaultBytes: Int64? = 100 << 30
    }

    /// Threads for blocking work.
    package struct Threads: Sendable, Equatable {
        /// Threads for file I/O; nil: by the number of processors.
        package var io: Int?
        /// Threads for hashing; nil: one per processor.
        package var hashing: Int?

        /// The I/O threads in use on a machine with so many processors: at least 16, as they mostly wait.
        package func ioCount(processors: Int) -> Int { io ?? max(16, 4 * processors) }
        /// The hashing threads in use on a machine with so many processors.
        package func hashingCount(processors: Int) -> Int { hashing ?? max(1, processors) }
    }

    /// What is logged, and how.
    package struct Log: Sendable, Equatable {
        package var levels = LogLevels(default: .info)
        package var format = LogFormat.auto
    }
}
