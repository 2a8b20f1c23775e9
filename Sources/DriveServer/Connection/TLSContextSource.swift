import DriveStorage
import Logging
import NIOPosix
import NIOSSL
import Synchronization

/// The TLS context of new connections, made from a certificate chain and a key in PEM files that may change at any time.
///
/// A new connection takes the current context and, at most once in `checkInterval`, starts a look at the files on a thread
/// of its own. Files that cannot be used leave the old context in place.
package final class TLSContextSource: Sendable {
    /// Tells whether a file is the one that was read.
    private struct Stamp: Hashable, Sendable {
        let inode: UInt64
        let size: Int64
        let modified: Int64
    }

    /// Which file cannot be used, and why.
    private struct FileFault: Error {
        let path: String
        let message: String
    }

    private struct State {
        var context: NIOSSLContext
        /// Of the files tried last, whether they were good or not: a bad pair is reported once.
        var tried: [Stamp?]
        var checkedAt: ContinuousClock.Instant
        var isChecking = false
    }

    private let certificatePath: String
    private let keyPath: String
    private let checkInterval: Duration
    private let logger: Logger
    private let now: @Sendable () -> ContinuousClock.Instant
    private let state: Mutex<State>

    /// Reads the files; blocks, so not for an event loop.
    /// - Throws: `SecretError` naming the file where a file is missing, is not PEM, or key and certificate do not belong together.
    package init(
        certificatePath: String,
        keyPath: String,
        checkInterval: Duration = .seconds(1),
        logger: Logger,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock().now }
    ) throws {
        self.certificatePath = certificatePath
        self.keyPath = keyPath
        self.checkInterval = checkInterval
        self.logger = logger
        self.now = now
        let tried = [Self.stamp(certificatePath), Self.stamp(keyPath)]
        let context: NIOSSLContext
        do {
            context = try Self.load(certificatePath: certificatePath, keyPath: keyPath)
        } catch {
            throw SecretError(message: error.message)
        }
        self.state = Mutex(State(context: context, tried: tried, checkedAt: now()))
    }

    /// The context for a connection that begins now. Never blocks.
    package var current: NIOSSLContext {
        let now = now()
        let (context, isDue) = state.withLock { state in
            let isDue = !state.isChecking && state.checkedAt.duration(to: now) >= checkInterval
            if isDue {
                state.isChecking = true
                state.checkedAt = now
            }
            return (state.context, isDue)
        }
        if isDue {
            NIOThreadPool.singleton.submit { workItem in
                if case .active = workItem { self.reloadIfChanged() }
                self.state.withLock { $0.isChecking = false }
            }
        }
        return context
    }

    /// Looks at the files now and takes them where they changed; blocks, so not for an event loop.
    /// - Returns: whether a new context is in use.
    @discardableResult
    package func reloadIfChanged() -> Bool {
        // The stamps are taken before the files are read: what changes in between is seen by the next look.
        let stamps = [Self.stamp(certificatePath), Self.stamp(keyPath)]
        guard state.withLock({ $0.tried != stamps }) else { return false }
        do {
            let context = try Self.load(certificatePath: certificatePath, keyPath: keyPath)
            state.withLock { state in
                state.context = context
                state.tried = stamps
            }
            logger.info("TLS certificate read again", metadata: ["path": "\(certificatePath)"])
            return true
        } catch {
            state.withLock { $0.tried = stamps }
            logger.error(
                "TLS certificate or key changed but cannot be used; the old one stays",
                metadata: ["path": "\(error.path)", "error": "\(error.message)"]
            )
            return false
        }
    }

    private static func load(certificatePath: String, keyPath: String) throws(FileFault) -> NIOSSLContext {
        let chain = try named("certificate", certificatePath) {
            try NIOSSLCertificate.fromPEMFile(certificatePath).map { NIOSSLCertificateSource.certificate($0) }
        }
        let key = try named("key", keyPath) { try NIOSSLPrivateKey(file: keyPath, format: .pem) }
        var configuration = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        return try named("key that belongs to \(certificatePath)", keyPath) { try NIOSSLContext(configuration: configuration) }
    }

    /// The errors of NIOSSL name no file.
    private static func named<Value>(_ what: String, _ path: String, _ work: () throws -> Value) throws(FileFault) -> Value {
        do {
            return try work()
        } catch {
            throw FileFault(path: path, message: "\(path) cannot be used as the TLS \(what): \(reason(error, path))")
        }
    }

    /// Why, in words: NIOSSL says the same of a file that is missing and of one that is something else.
    private static func reason(_ error: any Error, _ path: String) -> String {
        do {
            _ = try FileStatus(path: path)
        } catch {
            return "\(error)"
        }
        switch error as? NIOSSLError {
        case .failedToLoadCertificate: return "it has no certificate in PEM, or may not be read"
        case .failedToLoadPrivateKey: return "it has no private key in PEM that fits, or may not be read"
        default: return "\(error)"
        }
    }

    /// Nil where the file cannot be seen.
    private static func stamp(_ path: String) -> Stamp? {
        guard let status = try? FileStatus(path: path) else { return nil }
        return Stamp(inode: status.inode, size: status.size, modified: status.modifiedNanoseconds)
    }
}
