/// What waits for one client: bounded, and of progress only the newest of each task. A pure value.
///
/// It is a cache and nothing more: the outbox is the truth. When it is full it takes no more, and says so; its owner then
/// reads on from the outbox once the client has taken what is here, so that a slow reader gets every event but superseded
/// progress, in order, with a bounded memory.
struct EventQueue: Sendable {
    /// Events and bytes that wait at most; one event alone may be larger.
    let capacity: Int
    let maximumBytes: Int

    /// A superseded event leaves nil in its place.
    private var slots: [LiveEvent?] = []
    private var head = 0
    /// Where the waiting progress of a task stands, counted from the first event ever put in.
    private var progress: [String: Int] = [:]
    private var dropped = 0
    private(set) var count = 0
    private(set) var bytes = 0

    init(capacity: Int = 256, maximumBytes: Int = 512 << 10) {
        self.capacity = capacity
        self.maximumBytes = maximumBytes
    }

    var isEmpty: Bool { count == 0 }

    /// The next event in order, which stays; nil where none waits.
    var first: LiveEvent? { slots[head...].first { $0 != nil } ?? nil }

    /// Puts an event behind the others. False where there is no room: the queue is as it was.
    mutating func append(_ event: LiveEvent) -> Bool {
        let key = event.progressKey
        let superseded = key.flatMap { progress[$0] }.map { $0 - dropped }
        let freed = superseded.flatMap { slots[$0]?.size } ?? 0
        let newBytes = bytes - freed + event.size
        guard count - (superseded == nil ? 0 : 1) < capacity, newBytes <= maximumBytes || count == 0 else { return false }
        if let superseded {
            slots[superseded] = nil
            count -= 1
        }
        if slots.count >= 64, slots.count >= 2 * (count + 1) { closeRanks() }
        if let key { progress[key] = dropped + slots.count }
        slots.append(event)
        count += 1
        bytes = newBytes
        return true
    }

    /// The next event in order; nil where none waits.
    mutating func popFirst() -> LiveEvent? {
        while head < slots.count {
            let event = slots[head]
            slots[head] = nil
            head += 1
            guard let event else { continue }
            if let key = event.progressKey { progress[key] = nil }
            count -= 1
            bytes -= event.size
            compact()
            return event
        }
        compact()
        return nil
    }

    /// Gives up the places of what was superseded: a client that takes nothing never comes to `compact`.
    private mutating func closeRanks() {
        slots = slots.filter { $0 != nil }
        (head, dropped, progress) = (0, 0, [:])
        for (index, event) in slots.enumerated() {
            if let key = event?.progressKey { progress[key] = index }
        }
    }

    /// Gives up the room of what was taken, now and then, so that an idle client costs nothing.
    private mutating func compact() {
        if count == 0 {
            dropped += slots.count
            slots = []
            progress = [:]
            head = 0
        } else if head > 64, head * 2 > slots.count {
            slots.removeFirst(head)
            dropped += head
            head = 0
        }
    }
}

extension [LiveEvent] {
    /// A page of the outbox without the progress that newer progress of the same task makes superfluous.
    func withoutSuperseded() -> [LiveEvent] {
        var later: Set<String> = []
        var kept: [LiveEvent] = []
        for event in reversed() {
            if let key = event.progressKey {
                guard later.insert(key).inserted else { continue }
            }
            kept.append(event)
        }
        return kept.reversed()
    }
}
