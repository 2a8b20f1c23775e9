import DriveModel
import DriveUploads
import HTTPTypes

/// Where uploads stand, as the client sees it.
struct TusAddress: Sendable {
    /// The creation endpoint, absolute wherever the host is known.
    let endpoint: String
    /// The path before the prefix, where a proxy adds one.
    private let base: [Substring]

    init(_ address: PublicAddress) {
        endpoint = address.base + TusFace.face.path
        base = Self.segments(Self.path(of: address.root) ?? "")
    }

    /// The address of an upload.
    func location(of taskId: String) -> String { endpoint + "/" + taskId }

    /// Which upload an address means: absolute with any host (a proxy's, say), a path, or the id alone, which counts from the endpoint.
    /// Throws `INVALID_CONCATENATION` for what is no address of an upload here.
    func taskId(of reference: String) throws(DriveError) -> String {
        let address = reference.prefix { $0 != "?" && $0 != "#" }
        let found = Self.path(of: String(address)).map(resolve) ?? String(address)
        guard let found, !found.isEmpty, found.utf8.allSatisfy(Self.isIdentifierByte) else {
            throw DriveError(
                .invalidConcatenation, "Upload-Concat names what is no upload of this server: \(reference.prefix(200))",
                details: ["rule": .string(TusFields.concat.rawName), "part": .string(String(reference.prefix(200)))])
        }
        return found
    }

    private func resolve(_ path: String) -> String? {
        var segments = Self.segments(path)[...]
        if !base.isEmpty, segments.starts(with: base) { segments = segments.dropFirst(base.count) }
        guard segments.count == 3, let last = segments.last,
            RouteTable.prefixes.contains(where: { Self.segments($0 + TusFace.face.path) == Array(segments.dropLast()) })
        else { return nil }
        return String(last)
    }

    /// The path of an http address or of a reference that begins at the host or the root; nil for a relative one.
    private static func path(of address: String) -> String? {
        let lower = address.lowercased()
        guard let scheme = ["http://", "https://", "//"].first(where: lower.hasPrefix) else {
            return address.hasPrefix("/") ? address : nil
        }
        return String(address.dropFirst(scheme.count).drop { $0 != "/" })
    }

    private static func segments(_ path: String) -> [Substring] { path.split(separator: "/") }

    private static func isIdentifierByte(_ byte: UInt8) -> Bool {
        HTTPSyntax.isLetter(byte) || HTTPSyntax.isDigit(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
    }
}
