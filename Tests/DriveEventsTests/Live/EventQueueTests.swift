import Testing
import TestSupport

@testable import DriveEvents

/// What waits for one client, against a model that is an array and nothing more.
@Suite struct EventQueueTests {
    /// The same rules, as slowly and plainly as they can be written.
    private struct Model {
        var events: [LiveEvent] = []
        let capacity: Int
        let maximumBytes: Int

        var bytes: Int { events.reduce(0) { $0 + $1.size } }

        mutating func append(_ event: LiveEvent) -> Bool {
            var next = events
            if let key = event.progressKey { next.removeAll { $0.progressKey == key } }
            next.append(event)
            guard next.count <= capacity else { return false }
            guard events.isEmpty || next.reduce(0, { $0 + $1.size }) <= maximumBytes else { return false }
            events = next
            return true
        }

        mutating func popFirst() -> LiveEvent? { events.isEmpty ? nil : events.removeFirst() }
    }

    private static func randomEvent(_ sequence: Int64, using generator: inout SeededGenerator) -> LiveEvent {
        let task = "task-\(Int.random(in: 0..<4, using: &generator))"
        let types = ["task.progress", "task.progress", "upload.progress", "task.completed", "file.created"]
        let type = types[Int.random(in: 0..<types.count, using: &generator)]
        return LiveEvent(
            sequence: sequence, type: type, taskId: type == "file.created" ? nil : task,
            data: "{\"filler\":\"\(String(repeating: "x", count: Int.random(in: 0..<200, using: &generator)))\"}")
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func behavesLikeItsModel(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let capacity = Int.random(in: 1...12, using: &generator)
        let maximumBytes = Int.random(in: 1...2_000, using: &generator)
        var queue = EventQueue(capacity: capacity, maximumBytes: maximumBytes)
        var model = Model(capacity: capacity, maximumBytes: maximumBytes)
        // How often it is taken from: from nearly never to nearly always.
        let appetite = Int.random(in: 1...9, using: &generator)
        for sequence in 1...500 as ClosedRange<Int64> {
            if Int.random(in: 0..<10, using: &generator) < appetite {
                let (taken, expected) = (queue.popFirst(), model.popFirst())
                #expect(taken == expected)
            }
            let event = Self.randomEvent(sequence, using: &generator)
            let (isTaken, shouldBe) = (queue.append(event), model.append(event))
            #expect(isTaken == shouldBe)
            #expect(queue.count == model.events.count)
            #expect(queue.bytes == model.bytes)
            #expect(queue.isEmpty == model.events.isEmpty)
            #expect(queue.first == model.events.first)
            #expect(queue.count <= capacity)
            #expect(queue.count == 1 || queue.bytes <= maximumBytes)
            guard queue.count == model.events.count else { return }
        }
        #expect(Self.takeAll(&queue) == model.events)
        #expect(queue.bytes == 0)
    }

    @Test func keepsTheNewestProgressInItsPlaceAmongTheOthers() {
        var queue = EventQueue()
        let events = [
            LiveEvent.progress(1, of: "a"), .progress(2, of: "b"), .completed(3, of: "c"), .progress(4, of: "a"), .completed(5, of: "a"),
        ]
        #expect(Self.put(events, into: &queue) == 5)
        #expect(Self.takeAll(&queue).map(\.sequence) == [2, 3, 4, 5])
    }

    /// The same task's progress of two kinds, and progress that belongs to no task, are different things.
    @Test func onlyProgressOfTheSameKindAndTaskIsSuperseded() {
        var queue = EventQueue()
        let events = [
            LiveEvent.progress(1, of: "a"), LiveEvent(sequence: 2, type: "upload.progress", taskId: "a", data: "{}"),
            LiveEvent(sequence: 3, type: "quota.progress", taskId: nil, data: "{}"),
            LiveEvent(sequence: 4, type: "quota.progress", taskId: nil, data: "{}"), .completed(5, of: "a"), .completed(6, of: "a"),
        ]
        #expect(Self.put(events, into: &queue) == 6)
        #expect(queue.count == 6)
    }

    /// An event that is larger than all that may wait goes alone: otherwise it would stand in the way for ever.
    @Test func anEventOfAnySizeGoesAlone() {
        var queue = EventQueue(capacity: 8, maximumBytes: 10)
        let events = [LiveEvent.completed(1, of: "a"), .completed(2, of: "a")]
        #expect(Self.put(events, into: &queue) == 1)
        #expect(Self.takeAll(&queue) == [events[0]])
        #expect(Self.put([events[1]], into: &queue) == 1)
    }

    /// A client that takes nothing while a task goes on and on: what is superseded leaves no room behind.
    @Test(arguments: [0, 1, 5, 100])
    func progressThatNobodyTakesCostsNothing(tasksThatEnded: Int) {
        var queue = EventQueue(capacity: 256)
        let ends = (0..<tasksThatEnded).map { LiveEvent.completed(Int64($0 + 1), of: "\($0)") }
        let steps = (1_000..<21_000 as Range<Int64>).map { LiveEvent.progress($0, of: "long \($0 % 3)") }
        #expect(Self.put(ends + steps, into: &queue) == ends.count + steps.count)
        #expect(queue.count == tasksThatEnded + 3)
        #expect(Self.slots(of: queue) <= 64 + 2 * (queue.count + 1))
        #expect(Self.takeAll(&queue) == ends + steps.suffix(3))
        #expect(Self.slots(of: queue) == 0)
    }

    /// How many of them found room.
    private static func put(_ events: [LiveEvent], into queue: inout EventQueue) -> Int {
        var count = 0
        for event in events where queue.append(event) { count += 1 }
        return count
    }

    private static func takeAll(_ queue: inout EventQueue) -> [LiveEvent] {
        var events: [LiveEvent] = []
        while let event = queue.popFirst() { events.append(event) }
        return events
    }

    /// The places it has, taken and superseded ones included.
    private static func slots(of queue: EventQueue) -> Int {
        let slots = Mirror(reflecting: queue).children.first { $0.label == "slots" }?.value as? [LiveEvent?]
        return slots?.count ?? .max
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func aPageLosesOnlySupersededProgress(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let page = (1...100 as ClosedRange<Int64>).map { Self.randomEvent($0, using: &generator) }
        let kept = page.withoutSuperseded()
        let expected = page.enumerated().filter { index, event in
            event.progressKey == nil || !page[(index + 1)...].contains { $0.progressKey == event.progressKey }
        }
        #expect(kept == expected.map(\.element))
    }
}
