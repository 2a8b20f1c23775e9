import DriveModel

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A system call that failed.
public struct StorageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The call, as in its manual page.
    public let call: String
    public let errno: Int32

    public init(_ call: String, _ errno: Int32) {
        self.call = call
        self.errno = errno
    }

    public var description: String { "\(call): \(String(cString: strerror(errno)))" }

    /// The bytes that were read are not those that were stored.
    public static let wrongChecksum = StorageError("checksum", EBADMSG)

    public var isFull: Bool { errno == ENOSPC || errno == EDQUOT }
    public var isMissing: Bool { errno == ENOENT }

    /// As a caller of the API meets it.
    public var asDriveError: DriveError {
        if isFull {
            return DriveError(
                .storageFull, "The disk has no room for these bytes; what was acknowledged is kept. Try again later.", retryAfter: 30)
        }
        return DriveError(
            .storageFailed, "The disk refused the operation; what was acknowledged is kept. Try again.", retryAfter: 5)
    }
}
