import DriveCrypto
import DriveModel
import DriveUploads
import HTTPTypes
import Hummingbird

/// What the answers of the protocol carry: one table for all versions. The version's own field is added by the face.
struct ResumableReply: Sendable {
    let request: ResumableRequest
    let limits: ResumableLimits
    let address: PublicAddress
    let now: Timestamp

    init(_ call: Call) {
        request = ResumableRequest(call.request.headers)
        limits = ResumableLimits(call.services.configuration)
        address = PublicAddress(call)
        now = call.services.surroundings.now()
    }

    private var version: InteropVersion { request.version }

    /// The first `104` of a creation, and what its final response repeats.
    func announcement(of upload: StreamUpload) -> HTTPFields {
        var fields: HTTPFields = [.location: address.upload(upload.taskId)]
        fields[ResumableField.limit] = limits.value(for: upload.expiresAt, now: now, version: version)
        return fields
    }

    /// Where an upload stands.
    func state(of upload: StreamUpload) -> HTTPFields {
        var fields: HTTPFields = [ResumableField.offset: String(upload.offset), .cacheControl: "no-store"]
        version.setComplete(upload.isComplete, in: &fields)
        fields[ResumableField.limit] = limits.value(for: upload.expiresAt, now: now, version: version)
        return fields
    }

    /// The answer to HEAD and GET.
    func retrieval(of upload: StreamUpload) -> Response {
        var fields = state(of: upload)
        fields[ResumableField.length] = upload.length.map(String.init)
        return Response(status: .noContent, headers: fields)
    }

    /// The answer to a creation after which more comes.
    func created(_ upload: StreamUpload, announcement: HTTPFields) -> Response {
        var fields = state(of: upload)
        // As announced, to the byte: clients give an upload up whose address changes.
        for field in announcement { fields[field.name] = field.value }
        return Response(status: .created, headers: fields)
    }

    /// The answer to an append: the file where it completed the upload.
    func appended(_ upload: StreamUpload, call: Call) throws -> Response {
        guard case .completed(let file) = upload.phase else {
            return Response(status: version.appendedStatus, headers: state(of: upload))
        }
        return try completed(file, of: upload, call: call)
    }

    /// The answer that the whole file in one request gets.
    func completed(_ file: CloudFile, of upload: StreamUpload, call: Call) throws -> Response {
        var fields = state(of: upload)
        fields[.location] = version.leadsToUpload ? address.upload(upload.taskId) : address.file(file.id)
        addDigest(of: file, wanted: upload.metadata, to: &fields)
        return try call.reply(file, status: .created, headers: fields)
    }

    /// The answer to a request that knows nothing of this protocol.
    func stored(_ file: CloudFile, call: Call) throws -> Response {
        var fields: HTTPFields = [.location: address.file(file.id)]
        addDigest(of: file, wanted: nil, to: &fields)
        return try call.reply(file, status: .created, headers: fields)
    }

    /// `Repr-Digest` of the file (-11, section 10.1), where this request or the one that created the upload wants it.
    private func addDigest(of file: CloudFile, wanted: String?, to fields: inout HTTPFields) {
        guard request.wantsDigest || wanted == Self.digestWanted,
            let digest = Hex.decode(file.hash).flatMap({ ExpectedDigest(.sha256, $0) })
        else { return }
        fields[ResumableField.reprDigest] = digest.fieldMember
    }

    /// What a creation leaves for the request that completes the upload.
    static let digestWanted = "want-repr-digest=sha-256"
}
