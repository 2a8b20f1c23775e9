import NIOCertificateReloading
import NIOCore
import NIOPosix

/// A certificate chain and its key in PEM files that may change at any time.
public final class RingCertificates: Sendable {
    let reloader: TimedCertificateReloader

    /// Reads the files; blocks.
    ///
    /// - Throws: naming the file that cannot be used.
    public init(certificatePath: String, keyPath: String) throws {
        reloader = try TimedCertificateReloader.makeReloaderValidatingSources(
            refreshInterval: .seconds(3600),
            certificateSource: .init(location: .file(path: certificatePath), format: .pem),
            privateKeySource: .init(location: .file(path: keyPath), format: .pem))
    }

    /// Looks at the files now and then, on a thread that may block, until the Swift task is cancelled.
    ///
    /// - Parameter failed: told once why they cannot be used, until they can be again; the old ones stay.
    public func run(every interval: Duration = .seconds(10), failed: @escaping @Sendable (any Error) -> Void) async {
        var isTold = false
        while (try? await Task.sleep(for: interval)) != nil { await look(&isTold, failed: failed) }
    }

    /// Looks at the files once.
    ///
    /// - Parameter isTold: whether it is known already that they cannot be used.
    func look(_ isTold: inout Bool, failed: (any Error) -> Void) async {
        do {
            try await NIOThreadPool.singleton.runIfActive { [reloader] in try reloader.reload() }
            isTold = false
        } catch {
            if !isTold { failed(error) }
            isTold = true
        }
    }
}
