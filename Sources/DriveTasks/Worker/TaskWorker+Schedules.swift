import DriveDatabase
import DriveEvents
import DriveModel
import Foundation
import Logging

extension TaskWorker {
    /// Makes the tasks of timetables when their time comes. Every worker looks; the row's condition lets one of them do it.
    func runSchedules() async {
        while !isStopping {
            var limit = Duration.seconds(15)
            do {
                if let next = try await engine.runDueSchedules() {
                    limit = min(limit, max(.milliseconds(10), next - engine.surroundings.now()))
                }
                try await engine.shortenWaits()
                try await engine.refreshDurations()
            } catch {
                logger.warning("timetables cannot be looked at now", metadata: ["error": "\(error)"])
                limit = engine.settings.pollInterval
            }
            await scheduleSignal.wait(atMost: limit)
        }
    }
}
