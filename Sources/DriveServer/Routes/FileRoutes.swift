import DriveModel
import DriveStorage
import DriveTasks
import DriveUploads
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// `/files/…`: download, look-up, change, list.
enum FileRoutes {
    static let all: [Route] = [
        Route(.get, "/files/me", .account, list),
        Route(.get, "/files/{fileId}", .account, download),
        Route(.head, "/files/{fileId}", .account, download),
        Route(.get, "/files/{fileId}/info", .account, information),
        Route(.patch, "/files/{fileId}", .account, update),
        Route(.delete, "/files/{fileId}", .account, delete),
    ]

    /// Bytes read and sent at a time.
    static let piece = 256 << 10

    @Sendable private static func download(_ call: Call) async throws -> Response {
        let (file, content, crc32c) = try await call.services.files.open(try call.parameter("fileId"), account: try call.account)
        let presentation = InlineSafety.presentation(
            of: file.contentType, requested: try call.query("download", default: false) ? .attachment : .inline)
        let modified = HTTPDate(secondsSince1970: file.createdAt.seconds)
        let etag = EntityTag("\"\(file.hash)\"")
        var headers = presentation.headers
        headers[.eTag] = etag.map { "\($0)" }
        headers[.lastModified] = "\(modified)"
        headers[.acceptRanges] = "bytes"
        headers[.cacheControl] = "private, no-cache"
        headers[.contentType] = presentation.contentType
        headers[.contentDisposition] = presentation.disposition.value(fileName: file.name)
        let range: Range<Int64>
        var status = HTTPResponse.Status.ok
        switch ConditionalRequest.evaluate(
            method: call.request.method, headers: call.request.headers, etag: etag, lastModified: modified, size: file.size)
        {
        case .full: range = 0..<file.size
        case .partial(let asked):
            range = asked
            status = .partialContent
            headers[.contentRange] = ByteRange.contentRange(asked, size: file.size)
        case .notModified: return Response(status: .notModified, headers: headers)
        case .preconditionFailed:
            throw DriveError(
                .preconditionFailed, "The file is not the one the request's condition names.", details: ["hash": .string(file.hash)])
        case .unsatisfiable:
            var response = ErrorMapping.response(
                DriveError(
                    .rangeNotSatisfiable, "The file has \(file.size) bytes; the range lies outside of it.",
                    details: ["size": .integer(file.size)]),
                requestId: call.requestId)
            response.headers[.contentRange] = ByteRange.unsatisfiedContentRange(size: file.size)
            return response
        }
        headers[.contentLength] = String(range.upperBound - range.lowerBound)
        if call.request.method == .head { return Response(status: status, headers: headers) }
        // Whoever asks for all of the file gets exactly what was stored, or no end.
        let expected = range.lowerBound == 0 && range.upperBound == file.size ? crc32c : nil
        let reader = RangeReader(file: content, io: call.services.io, range: range, expecting: expected)
        let files = call.services.files
        let caller = try call.caller
        let logger = call.logger
        let requestId = call.requestId
        return Response(
            status: status, headers: headers,
            body: ResponseBody(contentLength: Int(range.upperBound - range.lowerBound)) { writer in
                var reader = reader
                do {
                    while let buffer = try await reader.next(atMost: piece, allocator: ByteBufferAllocator()) {
                        try await writer.write(buffer)
                    }
                } catch let error as StorageError {
                    // Too late for a status: the connection is cut short of Content-Length, so the client knows.
                    logger.error(
                        "a download was cut short", metadata: ["requestId": "\(requestId)", "file": "\(file.id)", "error": "\(error)"])
                    if error == .wrongChecksum { await files.recordDamage(of: file, seenBy: caller) }
                    throw error
                }
                try await writer.finish(nil)
            })
    }

    @Sendable private static func information(_ call: Call) async throws -> Response {
        try call.reply(try await call.services.files.file(try call.parameter("fileId"), account: try call.account))
    }

    @Sendable private static func update(_ call: Call) async throws -> Response {
        let change: FileChange = try await call.json()
        let file = try await call.services.files.update(try call.parameter("fileId"), change: change.change, by: try call.caller)
        return try call.reply(file)
    }

    @Sendable private static func delete(_ call: Call) async throws -> Response {
        try await call.services.files.delete(try call.parameter("fileId"), by: try call.caller)
        return Response(status: .noContent)
    }

    @Sendable private static func list(_ call: Call) async throws -> Response {
        var query = FileService.ListQuery()
        query.search = call.query("query") ?? call.query("search")
        query.bundleId = try call.queryUUID("bundleId")
        query.sort = try call.query("sortBy", as: FileService.ListQuery.Sort.self) ?? .createdAt
        query.descending = try call.query("sortDescending", default: true)
        query.offset = try call.query("offset", default: 0, in: 0...10_000_000)
        query.limit = try call.query("limit", default: 50, in: 1...500)
        let page = try await call.services.files.list(query, account: try call.account)
        return try call.reply(page: page.items, total: page.total)
    }
}

/// A field that may be absent, null or a value.
enum Patch<Value: Decodable & Sendable>: Sendable {
    case absent, null, value(Value)

    /// As the services take it: nil leaves, `.some(nil)` clears.
    var change: Value?? {
        switch self {
        case .absent: nil
        case .null: .some(nil)
        case .value(let value): .some(value)
        }
    }
}

extension KeyedDecodingContainer {
    func patch<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Patch<Value> {
        guard contains(key) else { return .absent }
        return try decodeNil(forKey: key) ? .null : .value(try decode(type, forKey: key))
    }
}

/// `PATCH /files/{fileId}`.
private struct FileChange: Decodable {
    let change: FileService.Change

    private enum CodingKeys: String, CodingKey {
        case name, userMeta, bundleId, expiredAt
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        change = FileService.Change(
            name: try container.decodeIfPresent(String.self, forKey: .name),
            userMeta: try container.decodeIfPresent([String: JSONValue].self, forKey: .userMeta),
            bundleId: try container.patch(UUID.self, forKey: .bundleId).change,
            expiredAt: try container.patch(Timestamp.self, forKey: .expiredAt).change)
    }
}
