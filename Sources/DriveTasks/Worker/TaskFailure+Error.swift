import DriveDatabase
import DriveModel

extension TaskFailure {
    /// Why a handler failed, from what it threw.
    init(_ error: any Error) {
        switch error {
        case let failure as TaskFailure: self = failure
        case let error as DriveError:
            self.init(code: error.code.name, message: error.message, isRetryable: error.code.category.mayPass)
        case let error as DatabaseError:
            let shown = error.asDriveError
            self.init(code: shown.code.name, message: shown.message, isRetryable: error.isRetryable)
        case is CancellationError: self.init(code: "INTERRUPTED", message: "It was interrupted from within.", isRetryable: true)
        default: self.init(code: "INTERNAL_ERROR", message: "\(error)", isRetryable: true)
        }
    }
}

extension DriveError.Category {
    /// Whether the same call may succeed later with nothing changed by the caller.
    var mayPass: Bool {
        switch self {
        case .internalFailure, .unavailable, .storageFull, .timedOut, .locked, .tooManyRequests: true
        default: false
        }
    }
}
