import DriveEvents
import DriveModel
import DriveTasks
import DriveUploads
import Foundation
import HTTPTypes
import Hummingbird

/// `/files/upload/…`: the Drive upload API of the spec.
enum UploadRoutes {
    static let all: [Route] = [
        Route(.post, "/files/upload/create", .account, create),
        Route(.post, "/files/upload/chunk/{taskId}/{chunkIndex}", .upload, chunk),
        Route(.post, "/files/upload/complete/{taskId}", .upload, complete),
        Route(.post, "/files/upload/direct", .account, direct),
        Route(.post, "/files/upload/extend/{taskId}", .upload, extend),
        Route(.get, "/files/upload/resume/{taskId}", .upload, resume),
        Route(.get, "/files/upload/progress/{taskId}", .upload, progress),
        Route(.delete, "/files/upload/task/{taskId}", .upload, cancel),
        Route(.get, "/files/upload/tasks", .account, list),
        Route(.get, "/files/upload/tasks/recent", .account, recent),
        Route(.delete, "/files/upload/tasks/cleanup", .account, cleanup),
        Route(.get, "/files/upload/tasks/{taskId}/details", .upload, details),
        Route(.get, "/files/upload/stats", .account, statistics),
    ]

    @Sendable private static func create(_ call: Call) async throws -> Response {
        let caller = try call.caller
        let created = try await call.services.uploads.create(
            try await call.json(CreateUploadRequest.self), idempotencyKey: call.request.headers[Fields.idempotencyKey], by: caller)
        if let file = created.existing { return try call.reply(CreateUploadReply(existing: file)) }
        guard let taskId = created.taskId, let expiry = created.sessionExpiresAt else {
            throw DriveError(.internalError, "The upload has no id.")
        }
        let token = try call.services.issuer.uploadSessionToken(
            accountId: caller.accountId, taskId: taskId, serial: created.sessionSerial, expiresAt: expiry)
        return try call.reply(
            CreateUploadReply(
                taskId: taskId, chunkSize: created.chunkSize, chunksCount: created.chunksCount, sessionToken: token,
                sessionExpiresAt: expiry))
    }

    @Sendable private static func chunk(_ call: Call) async throws -> Response {
        let caller = try call.caller
        let taskId = try call.parameter("taskId")
        let text = try call.parameter("chunkIndex")
        guard text.utf8.allSatisfy({ (48...57).contains($0) }), let index = Int(text) else {
            throw DriveError(.invalidChunkIndex, "chunkIndex must be a whole number.", details: ["rule": "chunkIndex"])
        }
        let replace = try call.query("replace", default: false)
        let uploads = call.services.uploads
        let reply: ChunkReply
        switch try BodyKind(call.request) {
        case .raw where !BodyKind.isOctetStream(call.request):
            throw DriveError(
                .unsupportedMediaType, "A chunk is sent as multipart/form-data or as application/octet-stream.",
                details: ["rule": "contentType"])
        case .multipart:
            reply = try await uploads.receiveChunk(
                index, of: taskId, body: try MultipartBody(call.request), length: nil, replace: replace, by: caller)
        case .raw(let length):
            reply = try await uploads.receiveChunk(
                index, of: taskId, body: try RawBody(call.request), length: length, replace: replace, by: caller)
        }
        return try call.reply(reply)
    }

    @Sendable private static func complete(_ call: Call) async throws -> Response {
        let taskId = try call.parameter("taskId")
        switch try await call.services.uploads.complete(taskId, by: try call.caller) {
        case .file(let file): return try call.reply(file)
        case .verifying(let progress):
            return try call.reply(
                VerifyingReply(taskId: taskId, progress: (progress * 100).rounded() / 100), status: .accepted, headers: [.retryAfter: "1"])
        }
    }

    @Sendable private static func direct(_ call: Call) async throws -> Response {
        let caller = try call.caller
        let key = call.request.headers[Fields.idempotencyKey]
        let uploads = call.services.uploads
        switch try BodyKind(call.request) {
        case .multipart:
            var body = try MultipartBody(call.request)
            try await body.readToFile()
            let fields = try DirectFields(fields: body.fields, part: body.filePart, call: call)
            let length = call.request.headers[.contentLength].flatMap { Int64($0) }
            return try call.reply(
                try await uploads.uploadDirectly(fields.request, body: body, length: length, idempotencyKey: key, by: caller))
        case .raw(let length):
            let request = DirectUploadRequest(
                fileName: try DirectFields.required(call.query("fileName")), contentType: DirectFields.contentType(call),
                poolId: try call.queryUUID("poolId"), bundleId: try call.queryUUID("bundleId"), expiredAt: try call.queryTime("expiredAt"),
                hash: call.query("hash"))
            return try call.reply(
                try await uploads.uploadDirectly(request, body: try RawBody(call.request), length: length, idempotencyKey: key, by: caller))
        }
    }

    @Sendable private static func extend(_ call: Call) async throws -> Response {
        let record = try await call.services.uploads.extend(try call.parameter("taskId"), by: try call.caller)
        return try call.reply(SessionReply(record, call: call))
    }

    @Sendable private static func resume(_ call: Call) async throws -> Response {
        let (record, chunks) = try await call.services.uploads.resume(try call.parameter("taskId"), account: try call.account)
        let session = record.status.isTerminal ? nil : try SessionReply(record, call: call)
        return try call.reply(
            ResumeInformation(
                taskId: record.taskId, fileName: record.fileName, fileSize: record.plan.fileSize, contentType: record.contentType,
                hash: record.hash, chunkSize: record.plan.chunkSize, chunksCount: record.plan.count, uploadedChunks: chunks,
                status: record.status, fileId: record.fileId, sessionToken: session?.sessionToken,
                sessionExpiresAt: session?.sessionExpiresAt))
    }

    @Sendable private static func progress(_ call: Call) async throws -> Response {
        try call.reply(try await call.services.uploads.progress(try call.parameter("taskId"), account: try call.account))
    }

    @Sendable private static func cancel(_ call: Call) async throws -> Response {
        try await call.services.uploads.cancel(try call.parameter("taskId"), by: try call.caller)
        return Response(status: .noContent)
    }

    @Sendable private static func list(_ call: Call) async throws -> Response {
        var query = UploadListQuery()
        query.status = try call.query("status", as: TaskStatus.self)
        query.sort = try call.query("sortBy", as: UploadListQuery.Sort.self) ?? .lastActivity
        query.descending = try call.query("sortDescending", default: true)
        query.offset = try call.query("offset", default: 0, in: 0...10_000_000)
        query.limit = try call.query("limit", default: 50, in: 1...500)
        let page = try await call.services.uploads.list(query, account: try call.account)
        return try call.reply(page: page.items, total: page.total)
    }

    @Sendable private static func recent(_ call: Call) async throws -> Response {
        var query = UploadListQuery()
        query.limit = try call.query("limit", default: 10, in: 1...100)
        let page = try await call.services.uploads.list(query, account: try call.account)
        return try call.reply(page: page.items, total: page.total)
    }

    @Sendable private static func cleanup(_ call: Call) async throws -> Response {
        try call.reply(["removed": try await call.services.uploads.cleanUp(by: try call.caller)])
    }

    @Sendable private static func details(_ call: Call) async throws -> Response {
        try call.reply(try await call.services.uploads.details(try call.parameter("taskId"), account: try call.account))
    }

    @Sendable private static func statistics(_ call: Call) async throws -> Response {
        try call.reply(try await call.services.uploads.statistics(account: try call.account))
    }
}

/// A fresh session token.
private struct SessionReply: Encodable {
    var taskId: String
    var sessionToken: String
    var sessionExpiresAt: Timestamp

    init(_ record: UploadRecord, call: Call) throws {
        taskId = record.taskId
        sessionExpiresAt = record.sessionExpiresAt
        sessionToken = try call.services.issuer.uploadSessionToken(
            accountId: record.accountId, taskId: record.taskId, serial: record.sessionSerial, expiresAt: record.sessionExpiresAt)
    }
}

/// How the bytes of a chunk or file are wrapped.
enum BodyKind {
    case multipart
    /// Bytes of the body, nil where the request does not tell.
    case raw(length: Int64?)

    init(_ request: Request) throws(DriveError) {
        let type = request.headers[.contentType]?.lowercased() ?? "application/octet-stream"
        if type.hasPrefix("multipart/form-data") {
            self = .multipart
        } else if type.hasPrefix("multipart/") {
            throw DriveError(
                .unsupportedMediaType, "Send the bytes as multipart/form-data or as the raw body.", details: ["rule": "contentType"])
        } else {
            self = .raw(length: request.headers.bodyLength)
        }
    }
}

extension BodyKind {
    /// Whether a raw body says that it is bytes, or says nothing.
    static func isOctetStream(_ request: Request) -> Bool {
        request.headers[.contentType].map { $0.lowercased().hasPrefix("application/octet-stream") } ?? true
    }
}

/// The form fields of a file sent in one request.
private struct DirectFields {
    let request: DirectUploadRequest

    init(fields: [String: String], part: PartHeaders?, call: Call) throws {
        func field(_ name: String) -> String? { fields[name].flatMap { $0.isEmpty ? nil : $0 } ?? call.query(name) }
        func id(_ name: String) throws -> UUID? {
            guard let text = field(name) else { return nil }
            guard let id = UUID(uuidString: text) else {
                throw DriveError(.invalidRequest, "\(name) must be a UUID.", details: ["rule": .string(name)])
            }
            return id
        }
        let expiry = try field("expiredAt").map { text in
            guard let time = Timestamp(text) else {
                throw DriveError(
                    .invalidRequest, "expiredAt must be a date and time such as 2026-01-31T12:00:00Z.", details: ["rule": "expiredAt"])
            }
            return time
        }
        request = DirectUploadRequest(
            fileName: try Self.required(field("fileName") ?? part?.fileName), contentType: field("contentType") ?? part?.contentType,
            poolId: try id("poolId"), bundleId: try id("bundleId"), expiredAt: expiry, hash: field("hash"))
    }

    static func required(_ name: String?) throws(DriveError) -> String {
        guard let name else {
            throw DriveError(
                .invalidFileName, "A file needs a name: ?fileName=… beside a raw body, or the form part's filename.",
                details: ["rule": "fileName"])
        }
        return name
    }

    /// curl sends its form type for `--data-binary` unless told otherwise; that says nothing of the file.
    static func contentType(_ call: Call) -> String? {
        if let asked = call.query("contentType") { return asked }
        let header = call.request.headers[.contentType]
        return header?.lowercased().hasPrefix("application/x-www-form-urlencoded") == true ? nil : header
    }
}
