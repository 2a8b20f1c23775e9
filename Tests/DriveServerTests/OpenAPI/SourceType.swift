import Testing

/// A wire type that its file keeps to itself: its fields are read from the source.
struct SourceType: Sendable, CustomTestStringConvertible {
    struct Field {
        var name: String
        var isRequired: Bool
    }

    var schema: String
    var name: String
    var file: String

    var testDescription: String { schema }

    static let all = [
        SourceType(schema: "SessionReply", name: "SessionReply", file: "DriveServer/Routes/UploadRoutes.swift"),
        SourceType(schema: "UploadDetails", name: "UploadDetails", file: "DriveUploads/Life/UploadService+Queries.swift"),
        SourceType(schema: "FileChange", name: "Change", file: "DriveUploads/Files/FileService.swift"),
        SourceType(schema: "BundleCreateRequest", name: "CreateRequest", file: "DriveServer/Routes/BundleRoutes.swift"),
        SourceType(schema: "BundleChange", name: "Change", file: "DriveServer/Routes/BundleRoutes.swift"),
        SourceType(schema: "PoolChange", name: "PoolChange", file: "DriveServer/Routes/PoolRoutes.swift"),
        SourceType(schema: "AccountReply", name: "AccountReply", file: "DriveServer/Routes/AdminRoutes.swift"),
        SourceType(schema: "AccountChange", name: "AccountChange", file: "DriveServer/Routes/AdminRoutes.swift"),
        SourceType(schema: "TokenReply", name: "TokenReply", file: "DriveServer/Routes/AdminTokenRoutes.swift"),
        SourceType(schema: "IssuedTokenReply", name: "IssuedTokenReply", file: "DriveServer/Routes/AdminTokenRoutes.swift"),
        SourceType(schema: "WorkerTokenRequest", name: "WorkerTokenRequest", file: "DriveServer/Routes/AdminTokenRoutes.swift"),
        SourceType(schema: "WorkerGrantRequest", name: "WorkerGrantRequest", file: "DriveServer/Routes/AdminTokenRoutes.swift"),
        SourceType(schema: "AuditReply", name: "AuditReply", file: "DriveServer/Routes/AdminRoutes.swift"),
        SourceType(schema: "UploadsHealth", name: "UploadsReply", file: "DriveServer/Routes/HealthRoutes.swift"),
        SourceType(schema: "PriorityRequest", name: "PriorityRequest", file: "DriveServer/Routes/TaskManagement.swift"),
        SourceType(schema: "RedriveRequest", name: "RedriveRequest", file: "DriveServer/Routes/TaskManagement.swift"),
        SourceType(schema: "RedriveReply", name: "RedriveReply", file: "DriveServer/Routes/TaskManagement.swift"),
        SourceType(schema: "TaskBatchRequest", name: "TaskBatchRequest", file: "DriveServer/Routes/TaskBatchRoutes.swift"),
        SourceType(schema: "TaskScheduleRequest", name: "TaskScheduleRequest", file: "DriveServer/Routes/TaskBatchRoutes.swift"),
        SourceType(schema: "TaskLeaseRequest", name: "TaskLeaseRequest", file: "DriveServer/Routes/TaskWorkRoutes.swift"),
        SourceType(schema: "TaskLeaseReference", name: "TaskLeaseReference", file: "DriveServer/Routes/TaskWorkRoutes.swift"),
        SourceType(schema: "TaskProgressRequest", name: "TaskProgressRequest", file: "DriveServer/Routes/TaskWorkRoutes.swift"),
        SourceType(schema: "TaskCompletionRequest", name: "TaskCompletionRequest", file: "DriveServer/Routes/TaskWorkRoutes.swift"),
        SourceType(schema: "TaskFailureRequest", name: "TaskFailureRequest", file: "DriveServer/Routes/TaskWorkRoutes.swift"),
        SourceType(schema: "TaskWorkReply", name: "TaskWorkReply", file: "DriveServer/Routes/TaskWorkRoutes.swift"),
        SourceType(schema: "PastNotification", name: "PastNotification", file: "DriveEvents/Ring/Notifications/PastNotification.swift"),
        SourceType(schema: "RingDevice", name: "RingDevice", file: "DriveEvents/Ring/Devices/RingDevice.swift"),
        SourceType(
            schema: "NotificationMarkRequest", name: "NotificationMarkRequest", file: "DriveServer/Routes/NotificationRoutes.swift"),
        SourceType(schema: "SubscriptionRequest", name: "SubscriptionRequest", file: "DriveServer/Routes/NotificationRoutes.swift"),
        SourceType(schema: "LiveReady", name: "Ready", file: "DriveServer/Live/LivePackets.swift"),
        SourceType(schema: "LiveSnapshot", name: "Snapshot", file: "DriveServer/Live/LivePackets.swift"),
    ]

    /// The stored properties at the struct's head, up to its first other declaration; an optional one is not required.
    func fields() throws -> [Field] {
        var fields: [Field] = []
        var isInside = false
        for line in try SourceCodes.source(file).split(separator: "\n") {
            if !isInside {
                isInside = line.contains("struct \(name):") || line.contains("struct \(name) ")
            } else if let match = line.wholeMatch(of: #/\s*(?:public |package )?var (\w+): ([^=]+?)(?: = .*)?/#) {
                fields.append(Field(name: String(match.1), isRequired: !match.2.hasSuffix("?")))
            } else if !line.drop(while: { $0 == " " }).hasPrefix("//") {
                break
            }
        }
        guard !fields.isEmpty else { throw OpenAPIDocument.Malformed(description: "no fields of \(name) in \(file)") }
        return fields
    }
}
