import DriveCrypto
import DriveModel
import HTTPTypes
import Hummingbird

/// The digest of one request's bytes: `Upload-Checksum` in its head, in its trailers, or in both (then both must hold).
struct TusChecksum: Equatable, Sendable {
    /// Algorithms by their names in tus; `sha1` is the one that every server must have.
    static let algorithms: [DigestAlgorithm] = [.sha1, .sha256, .md5, .crc32, .sha512, .crc32c]

    /// Comma-separated without blanks, as `Tus-Checksum-Algorithm` has it.
    static let names = algorithms.map(\.rawValue).joined(separator: ",")

    /// The digests of the head.
    let digests: [ExpectedDigest]
    /// Whether the head announces one in the trailers.
    let comesInTrailers: Bool

    var isPromised: Bool { comesInTrailers || !digests.isEmpty }

    /// Reads the head. Throws `INVALID_REQUEST` for a value that cannot be read or an algorithm that is not offered.
    init(_ headers: HTTPFields) throws(DriveError) {
        if let text = headers[TusFields.checksum] {
            digests = [try Self.parse(text)]
        } else {
            digests = []
        }
        let announced = headers[.trailer]?.split(separator: ",") ?? []
        comesInTrailers = announced.contains { name in
            HTTPSyntax.trim(Array(name.utf8)[...]).map(HTTPSyntax.lowercased) == Array(TusFields.checksum.canonicalName.utf8)
        }
    }

    /// The name of an algorithm, one space, and the digest in Base64. CRCs have the most significant byte first.
    static func parse(_ text: String) throws(DriveError) -> ExpectedDigest {
        let parts = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let value = Base64.decode(parts[1].utf8), !value.isEmpty else {
            throw TusFields.malformed(
                TusFields.checksum, "Upload-Checksum must be the name of an algorithm, one space and the digest in Base64.")
        }
        guard let algorithm = algorithms.first(where: { $0.rawValue == parts[0] }) else {
            throw TusFields.malformed(TusFields.checksum, "The algorithm of Upload-Checksum must be one of \(names).")
        }
        guard let digest = ExpectedDigest(algorithm, value) else {
            throw TusFields.malformed(
                TusFields.checksum, "A digest of \(algorithm.rawValue) has \(algorithm.length) bytes; Upload-Checksum has another number.")
        }
        return digest
    }

    /// What the trailers must hold once they were announced. Throws `INVALID_REQUEST` where they do not.
    static func announced(in trailers: HTTPFields) throws(DriveError) -> [ExpectedDigest] {
        guard let text = trailers[TusFields.checksum] else {
            throw TusFields.malformed(TusFields.checksum, "The request announced the trailer Upload-Checksum, but none came.")
        }
        return [try parse(text)]
    }

    /// The request's body, none of whose bytes count unless the promised digests match.
    func body(of request: Request) -> StreamedBody {
        guard comesInTrailers else { return StreamedBody(request, digests: digests) }
        return StreamedBody(request, digests: digests) { trailers throws(DriveError) in try Self.announced(in: trailers) }
    }
}
