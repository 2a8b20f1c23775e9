import DriveModel

/// What ends an upload on the server, as an error: a will (a cancel, a pause), or none, so that a new upload may take its place.
extension DriveClientError {
    /// nil where an upload of this status goes on, or has become a file.
    init?(endOf taskId: String, as status: TaskStatus) {
        switch status {
        case .cancelled: self = .cancelledOnServer(taskId: taskId)
        case .paused: self = .pausedOnServer(taskId: taskId)
        case .failed, .expired: self = .uploadEnded(taskId: taskId, reason: "it is \(status.rawValue) on the server.")
        case .pending, .inProgress, .completed: return nil
        }
    }

    /// nil where the reply does not tell of such an end.
    init?(endOf taskId: String, by meaning: ReplyMeaning) {
        switch meaning {
        case .cancelled: self = .cancelledOnServer(taskId: taskId)
        case .paused: self = .pausedOnServer(taskId: taskId)
        case .ended(let reason): self = .uploadEnded(taskId: taskId, reason: reason)
        default: return nil
        }
    }
}
