import DriveModel
import DriveUploads
import Foundation

extension NewStream {
    /// The latest time that a date of RFC 3339 can write, in seconds since 1970.
    private static let lastSecond: Int64 = 253_402_300_799

    /// Takes over what the client's metadata says of the file.
    ///
    /// - Parameter now: from when an expiry in seconds counts.
    /// - Throws: `INVALID_REQUEST` or `INVALID_HASH` naming the key whose value cannot be what it should.
    mutating func describe(by metadata: TusMetadata, now: Timestamp) throws(DriveError) {
        self.metadata = metadata.text
        fileName = metadata.first(of: "name", "filename").flatMap(TusFileName.sanitised)
        contentType = metadata.first(of: "type", "filetype", "contentType")
        poolId = try Self.identifier(metadata.first(of: "pool", "poolId"), key: "pool")
        bundleId = try Self.identifier(metadata.first(of: "bundle", "bundleId"), key: "bundle")
        hash = try Self.digest(metadata.first(of: "hash", "sha256"))
        expiredAt = try Self.expiry(metadata.first(of: "expiry", "expires", "expiredAt"), now: now)
    }

    private static func identifier(_ text: String?, key: String) throws(DriveError) -> UUID? {
        guard let text else { return nil }
        guard let id = UUID(uuidString: text) else {
            throw DriveError(.invalidRequest, "\(key) in Upload-Metadata must be a UUID.", details: ["rule": .string(key)])
        }
        return id
    }

    private static func digest(_ text: String?) throws(DriveError) -> String? {
        guard let text else { return nil }
        guard text.utf8.count == 64, HTTPSyntax.bytes(hex: text.utf8) != nil else {
            throw DriveError(
                .invalidHash, "hash in Upload-Metadata must be the file's SHA-256 in 64 hex digits.", details: ["rule": "hash"])
        }
        return text.lowercased()
    }

    private static func expiry(_ text: String?, now: Timestamp) throws(DriveError) -> Timestamp? {
        guard let text else { return nil }
        if let seconds = HTTPSyntax.number(text), seconds <= lastSecond - now.seconds { return now + .seconds(seconds) }
        guard let time = Timestamp(text) else {
            throw DriveError(
                .invalidRequest, "expiry in Upload-Metadata must be a time such as 2026-01-31T12:00:00Z, or whole seconds from now.",
                details: ["rule": "expiry"])
        }
        return time
    }
}
