import DriveCrypto
import DriveModel
import DriveUploads
import Foundation
import HTTPTypes
import Hummingbird

/// What a creation says of the file: in the query as for `/files/upload/direct`, else in the fields of HTTP.
enum ResumableFile {
    /// The upload to create, without its length. Throws `INVALID_REQUEST`, `INVALID_HASH`, `UNSUPPORTED_MEDIA_TYPE`.
    static func describe(_ call: Call, _ request: ResumableRequest) throws(DriveError) -> NewStream {
        let headers = call.request.headers
        var new = NewStream(face: UploadFace.resumable)
        // tus-js-client describes the file in tus's way over this protocol too.
        let told = try? TusMetadata(headers[TusFields.metadata])
        new.fileName =
            call.query("fileName") ?? headers[.contentDisposition].flatMap { ContentDisposition.fileName(in: $0) }
            ?? told?.first(of: "name", "filename").flatMap(TusFileName.sanitised)
        new.contentType =
            try contentType(asked: call.query("contentType"), headers: headers, request)
            ?? told?.first(of: "type", "filetype", "contentType")
        new.poolId = try call.queryUUID("poolId")
        new.bundleId = try call.queryUUID("bundleId")
        new.expiredAt = try call.queryTime("expiredAt")
        new.hash = try hash(asked: call.query("hash"), headers: headers)
        new.metadata = request.wantsDigest ? ResumableReply.digestWanted : nil
        return new
    }

    static func contentType(asked: String?, headers: HTTPFields, _ request: ResumableRequest) throws(DriveError) -> String? {
        if let asked { return asked }
        guard let type = headers[.contentType], !request.isPartialUpload else { return nil }
        let name = type.lowercased()
        if name.hasPrefix("multipart/form-data") {
            throw DriveError(
                .unsupportedMediaType, "Send the file's bytes as the body; forms are taken at /api/files/upload/direct.",
                details: ["rule": "contentType"])
        }
        // What curl sends for --data-binary unless told otherwise says nothing of the file.
        return name.hasPrefix("application/x-www-form-urlencoded") ? nil : type
    }

    /// The announced SHA-256 in hex, of the query or of `Repr-Digest` (-11, section 10.1).
    static func hash(asked: String?, headers: HTTPFields) throws(DriveError) -> String? {
        let asked = asked.flatMap { $0.isEmpty ? nil : $0 }
        guard let text = headers[ResumableField.reprDigest] else { return asked }
        let digests: [ExpectedDigest]
        do {
            digests = try ContentDigest.parse(text)
        } catch {
            throw DriveError(
                .invalidRequest, "Repr-Digest must be a dictionary of byte sequences (RFC 9530) such as sha-256=:…:.",
                details: ["rule": "Repr-Digest"])
        }
        guard let digest = digests.first(where: { $0.algorithm == .sha256 }) else { return asked }
        let hash = Hex.encode(digest.value)
        guard asked == nil || asked?.lowercased() == hash else {
            throw DriveError(.invalidHash, "hash and Repr-Digest announce different files.", details: ["rule": "hash"])
        }
        return hash
    }
}
