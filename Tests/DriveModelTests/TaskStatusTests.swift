import Testing

@testable import DriveModel

@Suite struct TaskStatusTests {
    @Test(arguments: [
        (TaskStatus.pending, "Pending", false, 0), (.inProgress, "InProgress", false, 0), (.paused, "Paused", false, 0),
        (.completed, "Completed", true, 1), (.failed, "Failed", true, 2), (.cancelled, "Cancelled", true, 2),
        (.expired, "Expired", true, 3),
    ])
    func hasTheSpecsWordsAndNumbers(status: TaskStatus, word: String, isTerminal: Bool, code: Int64) {
        #expect(status.rawValue == word)
        #expect(status.isTerminal == isTerminal)
        #expect(status.uploadStatusCode == code)
    }

    @Test func errorCodesAreEqualByName() {
        #expect(DriveError.Code("X", .invalid) == DriveError.Code("X", .gone))
        #expect("\(DriveError(.storageFull, "full"))" == "STORAGE_FULL: full")
    }
}
