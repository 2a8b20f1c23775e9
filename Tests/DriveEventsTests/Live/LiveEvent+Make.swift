@testable import DriveEvents

extension LiveEvent {
    static func progress(_ sequence: Int64, of task: String) -> LiveEvent {
        LiveEvent(sequence: sequence, type: "task.progress", taskId: task, data: "{\"n\":\(sequence)}")
    }

    static func completed(_ sequence: Int64, of task: String) -> LiveEvent {
        LiveEvent(sequence: sequence, type: "task.completed", taskId: task, data: "{\"n\":\(sequence)}")
    }
}

extension [LiveEvent] {
    /// What is wrong with these as the events that a client got, where `sent` is all that it should have; nil where nothing is.
    ///
    /// Each at most once and in order, and nothing is missing but progress for which newer progress came.
    func fault(against sent: [LiveEvent]) -> String? {
        for (event, next) in zip(self, dropFirst()) where next.sequence <= event.sequence {
            return "\(next.sequence) after \(event.sequence)"
        }
        let bySequence = Dictionary(uniqueKeysWithValues: sent.map { ($0.sequence, $0) })
        for event in self where bySequence[event.sequence]?.packet != event.packet { return "\(event.packet) was not sent to it" }
        let got = Set(map(\.sequence))
        var newest: [String: Int64] = [:]
        for event in self { if let key = event.progressKey { newest[key] = event.sequence } }
        for event in sent where !got.contains(event.sequence) {
            guard let key = event.progressKey, newest[key] ?? 0 > event.sequence else { return "\(event.packet) is missing" }
        }
        return nil
    }
}
