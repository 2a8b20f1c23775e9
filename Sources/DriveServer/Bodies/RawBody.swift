import DriveCrypto
import DriveModel
import DriveUploads
import HTTPTypes
import Hummingbird
import NIOCore

/// The request's body as it is: `application/octet-stream`.
struct RawBody: ChunkBody {
    private var iterator: RequestBody.AsyncIterator
    private let digests: [ExpectedDigest]
    let likelyDigests: [DigestAlgorithm]

    /// Throws `INVALID_REQUEST` for a malformed `Content-Digest`.
    init(_ request: Request) throws(DriveError) {
        iterator = request.body.makeAsyncIterator()
        digests = try Self.digests(request.headers)
        likelyDigests = digests.map(\.algorithm)
    }

    mutating func next() async throws -> ByteBuffer? {
        try await iterator.next()
    }

    func expectedDigests() -> [ExpectedDigest] { digests }

    static func digests(_ headers: HTTPFields) throws(DriveError) -> [ExpectedDigest] {
        guard let text = headers[Fields.contentDigest] else { return [] }
        do {
            return try ContentDigest.parse(text)
        } catch {
            throw DriveError(
                .invalidRequest, "Content-Digest must be a dictionary of byte sequences (RFC 9530) such as sha-256=:…:.",
                details: ["rule": "Content-Digest"])
        }
    }
}

/// One file part of a `multipart/form-data` body, parsed as it streams; the other parts are small fields.
struct MultipartBody: ChunkBody {
    /// Bytes of one field that is not the file.
    static let maximumFieldBytes = 4096
    static let leadingFields: Set<String> = ["fileName", "contentType", "poolId", "bundleId", "expiredAt", "hash"]

    private var iterator: RequestBody.AsyncIterator
    private var parser: MultipartParser
    private var phase = Phase.before
    private let headerDigests: [ExpectedDigest]
    private(set) var filePart: PartHeaders?
    /// The fields read so far, by name; those after the file are complete at the end alone.
    private(set) var fields: [String: String] = [:]

    private enum Phase: Equatable {
        case before, inFile, after, ended
    }

    /// Throws `MultipartError`.
    init(_ request: Request) throws {
        let boundary = try MultipartParser.boundary(contentType: request.headers[.contentType] ?? "")
        parser = try MultipartParser(boundary: boundary)
        iterator = request.body.makeAsyncIterator()
        headerDigests = try RawBody.digests(request.headers)
    }

    /// Reads up to the file part. Throws where there is none.
    mutating func readToFile() async throws {
        guard phase == .before else { return }
        var field: (name: String, bytes: [UInt8])?
        while phase == .before {
            switch try await event() {
            case .partBegan(let headers):
                if headers.fileName != nil || headers.contentType == "application/octet-stream" || headers.name == "chunk"
                    || headers.name == "file"
                {
                    filePart = headers
                    phase = .inFile
                } else {
                    field = (headers.name, [])
                }
            case .data(let buffer): try Self.append(buffer, to: &field)
            case .partEnded: keep(&field)
            case .finished, nil:
                throw DriveError(.invalidMultipart, "The form has no file part.", details: ["rule": "filePart"])
            }
        }
    }

    mutating func next() async throws -> ByteBuffer? {
        try await readToFile()
        while phase == .inFile {
            switch try await event() {
            case .data(let buffer): return buffer
            case .partEnded: phase = .after
            case .partBegan, .finished, nil: throw MultipartError.truncated
            }
        }
        try await readRest()
        return nil
    }

    private mutating func readRest() async throws {
        var field: (name: String, bytes: [UInt8])?
        while phase == .after {
            switch try await event() {
            case .partBegan(let headers):
                // A field that decides where the file goes must be known before its bytes are read.
                if Self.leadingFields.contains(headers.name) {
                    throw DriveError(
                        .invalidMultipart, "The form field \(headers.name) must stand before the file part.",
                        details: ["rule": .string(headers.name)])
                }
                guard headers.fileName == nil else {
                    throw DriveError(.invalidMultipart, "The form has more than one file part; send one.", details: ["rule": "filePart"])
                }
                field = (headers.name, [])
            case .data(let buffer): try Self.append(buffer, to: &field)
            case .partEnded: keep(&field)
            case .finished: phase = .ended
            case nil: throw MultipartError.truncated
            }
        }
    }

    private mutating func event() async throws -> MultipartEvent? {
        while true {
            if let event = try parser.next() { return event }
            guard let buffer = try await iterator.next() else {
                try parser.finish()
                return nil
            }
            try parser.feed(buffer)
        }
    }

    private static func append(_ buffer: ByteBuffer, to field: inout (name: String, bytes: [UInt8])?) throws(DriveError) {
        field?.bytes.append(contentsOf: buffer.readableBytesView)
        if let field, field.bytes.count > maximumFieldBytes {
            throw DriveError(
                .payloadTooLarge, "A form field has at most \(maximumFieldBytes) bytes.", details: ["rule": .string(field.name)])
        }
    }

    private mutating func keep(_ field: inout (name: String, bytes: [UInt8])?) {
        if let ended = field { fields[ended.name] = String(decoding: ended.bytes, as: UTF8.self) }
        field = nil
    }

    func expectedDigests() throws -> [ExpectedDigest] {
        guard let text = fields["checksum"], !text.isEmpty else { return headerDigests }
        do {
            return headerDigests + [try ContentDigest.parse(checksum: text)]
        } catch {
            throw DriveError(
                .invalidRequest, "The form field checksum must be a SHA-256 in 64 hex digits or a CRC-32C in 8.",
                details: ["rule": "checksum"])
        }
    }

    // A digest that follows the file cannot be computed on the way; the chunk is then read back, from the page cache.
    var likelyDigests: [DigestAlgorithm] {
        headerDigests.map(\.algorithm) + (fields["checksum"].map { $0.utf8.count >= 44 } ?? false ? [.sha256] : [])
    }
}
